"""Which earlier messages one turn shows the model. Pure: values in, values out.

The history is cut into exchanges: visitor messages in a row with what was answered to them. Whole
exchanges go, oldest first. The system prompt and the newest visitor messages always stay.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

DropReason = Literal["exchanges", "tokens", "hidden", "blocked", "replaced", "failed", "note"]


class Entry(NamedTuple):
    """One stored message, as far as the window needs it. `is_visitor` is false for our side.

    A tuple, because every turn makes dozens of them.
    """

    id: str
    position: int
    is_visitor: bool
    text: str
    status: str = "final"
    is_note: bool = False
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class Dropped:
    """Positions `first` to `last`, both included, were not shown, for this reason."""

    first: int
    last: int
    reason: DropReason


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What is sent, oldest first, and what is not. `tokens` includes the system prompt."""

    sent: tuple[Entry, ...]
    dropped: tuple[Dropped, ...]
    tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLimits:
    """`tokens` is what history may fill it up to, `hard_tokens` what the model can take at all."""

    exchanges: int
    tokens: int
    hard_tokens: int


class WindowTooSmallError(Exception):
    """The system prompt and the newest messages alone are more than the model can take."""


def limits_for(*, exchanges: int, percent: int, context_tokens: int, max_output_tokens: int) -> WindowLimits:
    """Return the limits for a model with this context, of which the answer needs its part."""
    hard = context_tokens - max_output_tokens
    return WindowLimits(
        exchanges=exchanges, tokens=min(context_tokens * percent // 100, hard), hard_tokens=hard
    )


def fit(
    earlier: Sequence[Entry],
    newest: Sequence[Entry],
    *,
    oldest_known: int,
    system_tokens: int,
    count: Callable[[str], int],
    limits: WindowLimits,
) -> Window:
    """Choose the window.

    `earlier` are the messages before the newest visitor messages, oldest first, as far back as they
    were loaded; `oldest_known` is the position of the first of them (all before it counts as cut by
    `exchanges`, and so does the exchange that may begin there), 0 if nothing was left unloaded.
    `newest` are the messages to be answered. Raises WindowTooSmallError.
    """
    tokens = system_tokens + sum(count(entry.text) for entry in newest)
    if tokens > limits.hard_tokens:
        raise WindowTooSmallError(
            f"The newest messages need {tokens} tokens; the model takes {limits.hard_tokens}."
        )
    if oldest_known > 1 and earlier:
        partial = len(_exchanges(earlier)[0])
        oldest_known = earlier[partial - 1].position + 1
        earlier = earlier[partial:]
    shown, dropped = _without_unfit(earlier)
    kept: list[Entry] = []
    reason: DropReason | None = None
    for number, exchange in enumerate(reversed(_exchanges(shown)), start=1):
        if reason is None:
            cost = sum(count(entry.text) for entry in exchange)
            if number > limits.exchanges:
                reason = "exchanges"
            elif tokens + cost > limits.tokens:
                reason = "tokens"
        if reason is None:
            tokens += cost
            kept[:0] = exchange
        else:
            dropped.extend(Dropped(entry.position, entry.position, reason) for entry in exchange)
    if oldest_known > 1:
        dropped.append(Dropped(1, oldest_known - 1, reason or "exchanges"))
    return Window(
        sent=(*kept, *newest), dropped=_as_ranges(dropped, [entry.position for entry in kept]), tokens=tokens
    )


def count_exchanges(entries: Sequence[Entry]) -> int:
    """Return into how many exchanges these messages fall."""
    return len(_exchanges(entries))


def _without_unfit(entries: Iterable[Entry]) -> tuple[list[Entry], list[Dropped]]:
    """Leave out what the visitor does not see as said, or saw replaced by another answer."""
    entries = list(entries)
    replaced = {entry.replaces for entry in entries if entry.replaces and entry.text}
    shown, dropped = [], []
    for entry in entries:
        reason = _unfit(entry, replaced)
        if reason is None:
            shown.append(entry)
        else:
            dropped.append(Dropped(entry.position, entry.position, reason))
    return shown, dropped


def _unfit(entry: Entry, replaced: set[str]) -> DropReason | None:
    if entry.is_note:
        return "note"
    if entry.status == "hidden":
        return "hidden"
    if entry.status == "blocked":
        return "blocked"
    if entry.id in replaced:
        return "replaced"
    if not entry.text:
        return "failed"
    return None


def _exchanges(entries: Iterable[Entry]) -> list[list[Entry]]:
    """Cut into exchanges: a new one begins with each visitor message that follows one of ours."""
    exchanges: list[list[Entry]] = []
    before_is_ours = True
    for entry in entries:
        if not exchanges or (entry.is_visitor and before_is_ours):
            exchanges.append([])
        exchanges[-1].append(entry)
        before_is_ours = not entry.is_visitor
    return exchanges


def _as_ranges(dropped: Iterable[Dropped], sent: Iterable[int]) -> tuple[Dropped, ...]:
    """Join neighbours that went for the same reason; gaps between positions hold no messages."""
    marks = [(each.first, each) for each in dropped] + [(position, None) for position in sent]
    ranges: list[Dropped] = []
    before: Dropped | None = None
    for _, each in sorted(marks, key=lambda mark: mark[0]):
        if each is not None and before is not None and before.reason == each.reason:
            before = ranges[-1] = Dropped(before.first, each.last, each.reason)
        else:
            before = each
            if each is not None:
                ranges.append(each)
    return tuple(ranges)
