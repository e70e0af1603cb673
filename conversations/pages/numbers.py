"""Numbers and times as staff read them."""

from datetime import timedelta

from django.utils.formats import number_format
from django.utils.translation import gettext, ngettext


def count(value: int) -> str:
    """Write a whole number with its thousands apart."""
    return number_format(value, force_grouping=True)


def at_most(value: int, most: int) -> str:
    """Write a number that was counted no further than `most`: 12 · 999+."""
    return count(value) if value <= most else f"{count(most)}+"


def short_count(value: int) -> str:
    """Write a large number in thousands or millions: 1,284 · 12.8k · 3.4M."""
    for size, letter in ((1_000_000, "M"), (10_000, "k")):
        if value >= size:
            unit = 1000 if letter == "k" else size
            return f"{_rounded(value / unit, 1)}{letter}"
    return count(value)


def percent(share: float) -> str:
    """Write a share of 1 in percent, with one digit where it matters."""
    value = share * 100
    digits = 0 if value in (0, 100) else 1
    return gettext("%(number)s %%") % {"number": _rounded(value, digits)}


def seconds(milliseconds: float) -> str:
    """Write a duration in seconds: 0.6 s · 12 s."""
    value = milliseconds / 1000
    return gettext("%(number)s s") % {"number": _rounded(value, 1 if value < 9.95 else 0)}


def money(nanos: int, currency: str) -> str:
    """Write billionths of a unit, with digits enough for a few calls: 0.0042 USD · 12.50 USD."""
    value = nanos / 1_000_000_000
    return f"{_rounded(value, 2 if value >= 10 else 4)} {currency}"


def age(delta: timedelta) -> str:
    """Write how long something has lasted, in its largest unit."""
    total = max(0, int(delta.total_seconds()))
    if total < 60:
        return ngettext("%(number)d second", "%(number)d seconds", total) % {"number": total}
    if total < 3600:
        return ngettext("%(number)d minute", "%(number)d minutes", total // 60) % {"number": total // 60}
    if total < 2 * 86400:
        return ngettext("%(number)d hour", "%(number)d hours", total // 3600) % {"number": total // 3600}
    return ngettext("%(number)d day", "%(number)d days", total // 86400) % {"number": total // 86400}


def _rounded(value: float, digits: int) -> str:
    """Write a number with so many digits; Django's own function cuts the others off."""
    return number_format(round(value, digits), digits)
