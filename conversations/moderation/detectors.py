"""Personal data and secrets: what they look like, and what proves them. All in folded text."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import phonenumbers

from conversations.moderation.checksums import IBAN_COUNTRIES, is_iban, is_payment_card, is_resident_id

_DIGIT: Final = "0-9"
_LETTER_OR_DIGIT: Final = "0-9a-z"
_MOBILE: Final = r"1[3-9]\d[ -]?\d{4}[ -]?\d{4}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Detector:
    """A kind of data.

    `looks` is a pattern of finite length, `value` brings what it found into one form (None: it is something
    else), `beside` are the characters that may stand neither before nor after it, `label` is what a
    placeholder calls it.
    """

    name: str
    label: str
    looks: str
    value: Callable[[str], str | None]
    beside: str = _DIGIT
    is_open_ended: bool = False
    """Whether it counts also where it goes on longer than it is looked for; what is longer is not hidden."""


def _email(text: str) -> str | None:
    return text


def _mobile(text: str) -> str | None:
    return _digits(text)[-11:]


def _phone(text: str) -> str | None:
    digits = _digits(text)
    is_foreign = text.startswith(("+", "00"))
    try:
        number = phonenumbers.parse(f"+{digits.removeprefix('00')}" if is_foreign else digits, "CN")
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    national = phonenumbers.national_significant_number(number)
    return (
        national if number.country_code == 86 and len(national) == 11 else f"{number.country_code}{national}"
    )


def _card(text: str) -> str | None:
    digits = _digits(text)
    return digits if is_payment_card(digits) else None


def _resident_id(text: str) -> str | None:
    return text if is_resident_id(text) else None


def _iban(text: str) -> str | None:
    value = text.replace(" ", "")
    return value if is_iban(value) else None


def _key(text: str) -> str | None:
    # Words joined by hyphens (`sk-learn-…`) are no key: one has digits.
    return text if any(symbol.isdigit() for symbol in text) else None


def _digits(text: str) -> str:
    return "".join(symbol for symbol in text if symbol.isdigit())


# What keys begin with, and how many symbols follow: from the services' own pages on secret scanning.
_KEYS: Final = (
    r"sk-[0-9a-z_-]{20,180}",
    r"[sr]k_(?:live|test)_[0-9a-z]{16,120}",
    r"a[ks]ia[0-9a-z]{16}",
    r"aiza[0-9a-z_-]{35}",
    r"gh[pousr]_[0-9a-z]{36,180}",
    r"github_pat_[0-9a-z_]{22,100}",
    r"glpat-[0-9a-z_-]{20,60}",
    r"xox[abeprs]-[0-9a-z-]{10,120}",
    r"hf_[0-9a-z]{30,60}",
    r"gsk_[0-9a-z]{40,80}",
    r"xai-[0-9a-z]{60,120}",
    r"ltai[0-9a-z]{12,30}",
    r"akid[0-9a-z]{32}",
)

DETECTORS: Final = {
    detector.name: detector
    for detector in (
        Detector(
            name="email",
            label="EMAIL",
            looks=r"[0-9a-z_][0-9a-z._%+'-]{0,63}@(?:[0-9a-z-]{1,40}\.){1,3}[a-z]{2,12}",
            value=_email,
            beside=_LETTER_OR_DIGIT,
        ),
        Detector(name="cn_mobile", label="PHONE", looks=rf"(?:\+?86[ -]?)?{_MOBILE}", value=_mobile),
        Detector(
            name="phone",
            label="PHONE",
            looks=(
                r"(?:(?:\+|00)[1-9](?:[ ./()-]{0,2}\d){6,14}"
                rf"|{_MOBILE}|0\d{{2,3}}[ -]?\d{{7,8}}|\(0\d{{2,3}}\) ?\d{{7,8}}|400[ -]?\d{{3}}[ -]?\d{{4}})"
            ),
            value=_phone,
        ),
        Detector(name="payment_card_luhn", label="CARD", looks=r"[2-6](?:[ -]?\d){12,18}", value=_card),
        Detector(
            name="cn_resident_id",
            label="ID",
            looks=r"[1-9]\d{5}(?:19|20)\d{2}[01]\d[0-3]\d{4}[\dx]",
            value=_resident_id,
            beside=_LETTER_OR_DIGIT,
        ),
        Detector(
            name="iban",
            label="IBAN",
            looks=rf"(?:{'|'.join(IBAN_COUNTRIES)})\d{{2}}(?: ?[0-9a-z]){{11,30}}",
            value=_iban,
            beside=_LETTER_OR_DIGIT,
        ),
        Detector(
            name="provider_key",
            label="KEY",
            looks=f"(?:{'|'.join(_KEYS)})",
            value=_key,
            beside=_LETTER_OR_DIGIT,
            is_open_ended=True,
        ),
    )
}
