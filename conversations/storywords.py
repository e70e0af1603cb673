"""Times, amounts, counts and positions as a turn's story writes them."""

from collections.abc import Callable, Iterable

from django.utils.translation import gettext as _

from conversations import prices
from conversations.models import LedgerEntry


def duration(milliseconds: int) -> str:
    """Write a time: `812 ms`, `12.3 s`."""
    return f"{milliseconds} ms" if milliseconds < 10_000 else f"{milliseconds / 1000:.1f} s"


def money(nanos: int, currency: str) -> str:
    """Write nano-units to the last of them."""
    return f"{prices.words(nanos)} {currency}".rstrip()


def amount(entry: LedgerEntry) -> str:
    """Write what a ledger line amounts to."""
    return _("an unknown amount") if entry.amount_nanos is None else money(entry.amount_nanos, entry.currency)


def tokens(read: int | None, written: int | None, kind: str) -> str:
    """Write counts and how they are known: `100 tokens read, 20 written (exact)`."""
    if read is None and written is None:
        return _("tokens unknown")
    words = _("%(read)s tokens read, %(written)s written (%(kind)s)")
    said = [_("unknown") if each is None else str(each) for each in (read, written)]
    return words % {"read": said[0], "written": said[1], "kind": _KINDS[kind]() if kind in _KINDS else kind}


_KINDS: dict[str, Callable[[], str]] = {
    "exact": lambda: _("exact"),
    "estimated": lambda: _("estimated"),
    "unknown": lambda: _("unknown"),
}


def ranges(positions: Iterable[int]) -> str:
    """Write numbers with their runs joined: `1, 3–7`; `–` for none."""
    runs: list[list[int]] = []
    for each in sorted(positions):
        if runs and each == runs[-1][-1] + 1:
            runs[-1] = [runs[-1][0], each]
        else:
            runs.append([each])
    return ", ".join("–".join(map(str, run)) for run in runs) or "–"
