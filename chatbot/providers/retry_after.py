"""How long a service asks to wait, in each form it may say so."""

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime


def seconds(headers: Mapping[str, str], *, now: float) -> float | None:
    """Read `retry-after-ms`, else `retry-after` as seconds or as an HTTP date; None when absent,
    negative or unreadable. Names of `headers` are in lower case, `now` is Unix time."""
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        value = _number(headers.get(name, ""))
        if value is not None:
            return value * unit_s
    try:
        at = parsedate_to_datetime(headers.get("retry-after", ""))
        wait_s = (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now
    except (ValueError, OverflowError):  # the latter of a year that no calendar has
        return None
    return wait_s if wait_s >= 0 else None


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None
