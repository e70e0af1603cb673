"""The sums by which numbers prove that they are not just digits."""

from datetime import date
from typing import Final

# Countries by the length of their IBAN, from the registry of ISO 13616, release 99:
# https://www.swift.com/standards/data-standards/iban-international-bank-account-number
_COUNTRIES: Final = {
    15: "no",
    16: "be",
    18: "dk fi fo gl nl",
    19: "mk si",
    20: "at ba ee kz lt lu xk",
    21: "ch hr li lv",
    22: "bg bh cr de gb ge ie me rs va",
    23: "ae gi il iq tl",
    24: "ad cz es md pk ro sa se sk tn vg",
    25: "ly pt st",
    26: "is tr",
    27: "fr gr it mc mr sm",
    28: "al az by cy do gt hu lb pl sv",
    29: "br eg ps qa ua",
    30: "jo kw mu",
    31: "mt sc",
    32: "lc",
}
_IBAN_LENGTHS: Final = {country: size for size, names in _COUNTRIES.items() for country in names.split()}
IBAN_COUNTRIES: Final = tuple(_IBAN_LENGTHS)
_RESIDENT_WEIGHTS: Final = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


def is_payment_card(digits: str) -> bool:
    """Luhn's sum (ISO/IEC 7812-1), and a first digit that banks and merchants use."""
    doubled = (sum(divmod(2 * int(digit), 10)) for digit in digits[-2::-2])
    return digits[0] in "23456" and (sum(map(int, digits[-1::-2])) + sum(doubled)) % 10 == 0


def is_iban(value: str) -> bool:
    """The remainder of ISO 13616, and the length of its country; lower case, without blanks."""
    if len(value) != _IBAN_LENGTHS.get(value[:2]):
        return False
    return int("".join(str(int(symbol, 36)) for symbol in value[4:] + value[:4])) % 97 == 1


def is_resident_id(value: str) -> bool:
    """The check character of GB 11643 (ISO 7064 MOD 11-2), and a day of birth that was; lower case."""
    try:
        date(int(value[6:10]), int(value[10:12]), int(value[12:14]))
    except ValueError:
        return False
    rest = sum(int(digit) * weight for digit, weight in zip(value, _RESIDENT_WEIGHTS, strict=False)) % 11
    return "10x98765432"[rest] == value[17]
