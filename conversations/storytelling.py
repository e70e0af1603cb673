"""A turn's story as sentences, in order of time: for the terminal and for the console."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from conversations.models import (
    UNFINISHED,
    CompletionStatus,
    Decision,
    EntryKind,
    LedgerEntry,
    MessageStatus,
    Turn,
    TurnStatus,
    Verdict,
)
from conversations.story import Attempt, Said, Story, Task
from conversations.storywords import amount, duration, money, ranges, tokens

Kind = Literal["message", "turn", "attempt", "window", "money", "verdict", "task"]
Tone = Literal["", "good", "warn", "bad"]
_TONES: dict[str, Tone] = {
    TurnStatus.COMPLETED: "good",
    TurnStatus.FAILED: "bad",
    TurnStatus.BLOCKED: "bad",
    TurnStatus.STOPPED: "warn",
    TurnStatus.INTERRUPTED: "warn",
    CompletionStatus.CANCELLED: "warn",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One sentence, and when it was so; None for what nobody noted the time of."""

    at: datetime | None
    kind: Kind
    words: str
    tone: Tone = ""


def lines(story: Story) -> list[Line]:
    """Return the whole story, oldest first; what has no time of its own stands before the turn's end."""
    told = [line for part in _PARTS for line in part(story)]
    began = story.turn.created_at
    timed = sorted((each for each in told if each.at is not None), key=lambda each: each.at or began)
    timeless = [each for each in told if each.at is None]
    ends = (at for at, each in enumerate(timed) if each.kind == "turn" and each.at == story.turn.finished_at)
    ended = next(ends, len(timed))
    return [*timed[:ended], *timeless, *timed[ended:], *_sum(story)]


# The turn


def _beginning(story: Story) -> Iterator[Line]:
    turn = story.turn
    assistant = turn.conversation.assistant.slug
    yield Line(
        turn.created_at,
        "turn",
        _("The turn was accepted: assistant %(assistant)s, prompt version %(version)s, route %(route)s.")
        % {"assistant": assistant, "version": f"v{turn.version.number}", "route": turn.version.route},
    )
    if story.replaces or turn.replaces_id:
        words = _("The visitor asked again: it replaces the answer of turn %(turn)s.")
        yield Line(turn.created_at, "turn", words % {"turn": story.replaces or turn.replaces_id})
    if turn.visible_at is not None:
        waited = turn.first_delta_ms
        words = _("The first words were shown.")
        if waited is not None:
            words = _("The first words were shown, %(time)s after the turn was accepted.")
        yield Line(turn.visible_at, "turn", words % {"time": duration(waited or 0)})


def _ending(story: Story) -> Iterator[Line]:
    turn = story.turn
    if turn.finished_at is not None:
        took = round((turn.finished_at - turn.created_at).total_seconds() * 1000)
        code = f" ({turn.error})" if turn.error else ""
        words = _("The turn ended as %(status)s%(error)s, %(time)s after it was accepted.")
        said = {"status": turn.status, "error": code, "time": duration(took)}
        yield Line(turn.finished_at, "turn", words % said, _TONES.get(turn.status, ""))
    for later in story.replaced_by:
        words = _("The visitor asked again: turn %(turn)s replaces its answer.")
        yield Line(later.created_at, "turn", words % {"turn": later.pk})


def _handing_over(story: Story) -> Iterator[Line]:
    turn = story.turn
    again = turn.generation - 1
    if again:
        words = ngettext(
            "It was begun anew %(count)d time, for further messages or by another process.",
            "It was begun anew %(count)d times, for further messages or by other processes.",
            again,
        )
        yield Line(None, "turn", words % {"count": again}, "warn")
    if turn.takeovers:
        words = ngettext(
            "It was taken over %(count)d time from a process that had died.",
            "It was taken over %(count)d times from processes that had died.",
            turn.takeovers,
        )
        yield Line(None, "turn", words % {"count": turn.takeovers}, "warn")
    if turn.stop_requested or turn.status == TurnStatus.STOPPED:
        yield Line(None, "turn", _("The visitor stopped it."), "warn")
    if turn.status in UNFINISHED:
        words = _("It has not ended: it is %(status)s, and its process was last heard of at %(time)s.")
        said = {"status": turn.status, "time": f"{turn.beat_at:%H:%M:%S}"}
        yield Line(None, "turn", words % said, "warn")


# What was said


def _questions(story: Story) -> Iterator[Line]:
    for each in story.questions:
        yield Line(each.row.created_at, "message", _question_words(each))


def _answer(story: Story) -> Iterator[Line]:
    if story.answer is not None:
        yield Line(story.answer.row.created_at, "message", _answer_words(story.answer))


def _question_words(said: Said) -> str:
    row, length = said.row, len(said.original)
    words = ngettext(
        "The visitor’s message %(position)d came: %(count)d character",
        "The visitor’s message %(position)d came: %(count)d characters",
        length,
    ) % {"position": row.position, "count": length}
    if row.status == MessageStatus.BLOCKED:
        return _("%(words)s; a rule kept it from the model.") % {"words": words}
    if row.is_masked:
        return _("%(words)s; parts of it are hidden from the model.") % {"words": words}
    return f"{words}."


def _answer_words(said: Said) -> str:
    row, length = said.row, len(said.text)
    words = ngettext(
        "The answer was saved as message %(position)d: %(status)s, %(count)d character",
        "The answer was saved as message %(position)d: %(status)s, %(count)d characters",
        length,
    ) % {"position": row.position, "status": row.status, "count": length}
    if row.withheld:
        more = _("%(words)s; of %(count)d that were written a part is withheld.")
        return more % {"words": words, "count": len(row.withheld)}
    return f"{words}."


# Attempts and their windows


def _attempts(story: Story) -> Iterator[Line]:
    for each in story.attempts:
        row = each.row
        words = _("Attempt %(number)d asked %(model)s at %(provider)s (target %(target)s, route %(route)s).")
        said = {"number": row.number, "model": row.model, "provider": row.provider}
        yield Line(row.started_at, "attempt", words % {**said, "target": row.target, "route": row.route})
        yield from _window(each)
        yield _attempt_end(each, story.turn)


def _attempt_end(each: Attempt, turn: Turn) -> Line:
    row = each.row
    if row.status == CompletionStatus.RUNNING:
        return Line(row.started_at, "attempt", _("Attempt %(number)d runs.") % {"number": row.number}, "warn")
    parts = [_("Attempt %(number)d ended as %(status)s") % {"number": row.number, "status": row.status}]
    if row.finish:
        parts.append(_("finish %(word)s") % {"word": row.finish})
    if row.error:
        code = f" ({row.error_code})" if row.error_code else ""
        parts.append(_("error %(kind)s%(code)s") % {"kind": row.error, "code": code})
    if row.first_delta_ms is not None:
        parts.append(_("first delta after %(time)s") % {"time": duration(row.first_delta_ms)})
    if row.total_ms is not None:
        parts.append(_("all of it in %(time)s") % {"time": duration(row.total_ms)})
    parts.append(tokens(row.input_tokens, row.output_tokens, row.usage_kind))
    parts.append(
        _("the service’s request id is %(id)s") % {"id": row.request_id}
        if row.request_id
        else _("the service gave no request id")
    )
    tone: Tone = "bad" if row.error else _TONES.get(row.status, "")
    at = each.ended_at or row.started_at
    if row.first_delta_ms is not None and turn.visible_at is not None:
        at = max(at, turn.visible_at)  # its clock began a moment after its row was dated
    return Line(min(at, turn.finished_at or at), "attempt", f"{'; '.join(parts)}.", tone)


def _window(each: Attempt) -> Iterator[Line]:
    window, at = each.window, each.row.started_at
    if window is None:
        return
    words = _("Its window showed messages %(sent)s in %(tokens)d of %(limit)d tokens (%(kind)s).")
    kind = _("exact") if window.is_exact else _("estimated")
    said = {"sent": ranges(window.sent), "tokens": window.input_tokens, "limit": window.limit_tokens}
    yield Line(at, "window", words % {**said, "kind": kind})
    for drop in window.dropped:
        words = _("Left out of it: messages %(which)s, because of %(reason)s.")
        which = ranges(range(drop["from"], drop["to"] + 1))
        yield Line(at, "window", words % {"which": which, "reason": drop["reason"]})
    for position, names in sorted(each.hidden.items()):
        words = _("Hidden in message %(position)d: the model saw %(names)s.")
        yield Line(at, "window", words % {"position": position, "names": ", ".join(dict.fromkeys(names))})
    if each.matches:
        yield Line(at, "window", _("The request can be put together again: its HMAC matches."), "good")
    else:
        words = _("The HMAC does not match: text of the request was changed or erased since.")
        yield Line(at, "window", words, "warn")


# What was found


def _verdicts(story: Story) -> Iterator[Line]:
    for each in story.verdicts:
        yield Line(each.at, "verdict", _verdict_words(each), "bad" if each.action != "flag" else "warn")
        if each.decision != Decision.OPEN and each.decided_at is not None:
            words = _("%(name)s decided on %(rule)s: %(decision)s.")
            said = {"name": each.decided_by or "–", "rule": _finder(each), "decision": each.decision}
            yield Line(each.decided_at, "verdict", words % said)


def _verdict_words(each: Verdict) -> str:
    words = _(
        "Screening (%(stage)s): %(rule)s found characters %(start)d to %(end)d of message %(position)d."
    )
    if each.start == each.end:
        words = _("Screening (%(stage)s): %(rule)s found message %(position)d wanting.")
    said = {"stage": each.stage, "rule": _finder(each), "position": each.message.position}
    told = words % {**said, "start": each.start, "end": each.end}
    return f"{told} {_('What was done: %(action)s.') % {'action': each.action}}"


def _finder(verdict: Verdict) -> str:
    return f"{verdict.source} “{verdict.rule_name}”" if verdict.rule_name else verdict.source


# Money


def _money(story: Story) -> Iterator[Line]:
    for each in story.attempts:
        for entry in each.lines:
            yield Line(entry.at, "money", f"{_entry_words(each.row.number, entry)}.", _entry_tone(entry))


def _entry_words(number: int, entry: LedgerEntry) -> str:
    match entry.kind:
        case EntryKind.HOLD:
            words = _("Ledger: %(amount)s held for attempt %(number)d")
        case EntryKind.SETTLE:
            words = _("Ledger: attempt %(number)d settled at %(amount)s")
        case EntryKind.RELEASE:
            words = _("Ledger: what was held for attempt %(number)d is released")
        case _:
            words = _("Ledger: attempt %(number)d corrected by %(amount)s")
    parts = [words % {"number": number, "amount": amount(entry)}]
    if entry.kind == EntryKind.HOLD:
        limits = {"read": entry.input_tokens, "written": entry.output_tokens}
        parts.append(_("for about %(read)s tokens to read and at most %(written)s to write") % limits)
    else:
        parts.append(tokens(entry.input_tokens, entry.output_tokens, entry.counts))
    if entry.reason and entry.kind != EntryKind.HOLD:
        parts.append(_("because %(reason)s") % {"reason": entry.reason})
    if entry.price is not None:
        said = {"price": entry.price_id, "day": f"{entry.price.from_at:%Y-%m-%d}"}
        parts.append(_("price %(price)s of %(day)s") % said)
    elif entry.kind != EntryKind.RELEASE:
        parts.append(_("no price"))
    return "; ".join(parts)


def _entry_tone(entry: LedgerEntry) -> Tone:
    return "warn" if entry.amount_nanos is None else ""


def _sum(story: Story) -> Iterator[Line]:
    cost = story.cost
    if not any(each.lines for each in story.attempts):
        return
    parts = [money(nanos, currency) for currency, nanos in sorted(cost.nanos.items())]
    words = _("Together it cost %(amount)s.") % {"amount": " + ".join(parts) or _("nothing that is known")}
    if cost.unknown:
        more = ngettext(
            "The cost of %(count)d call is unknown.", "The cost of %(count)d calls is unknown.", cost.unknown
        )
        words += " " + more % {"count": cost.unknown}
    if cost.held:
        more = ngettext(
            "Money is still held for %(count)d call.", "Money is still held for %(count)d calls.", cost.held
        )
        words += " " + more % {"count": cost.held}
    yield Line(None, "money", words, "warn" if cost.unknown or cost.held else "")


# What followed


def _tasks(story: Story) -> Iterator[Line]:
    for each in story.tasks:
        row = each.row
        at = None if row is None else row.done_at or row.sent_at or row.created_at
        if at is not None or story.turn.finished_at is not None:
            yield Line(at or story.turn.finished_at, "task", _task_words(each), _task_tone(each))


def _task_words(task: Task) -> str:
    row = task.row
    if row is None:
        if task.state == "forgotten":
            return _("Task %(name)s: its entry is no longer kept.") % {"name": task.name}
        return _("Task %(name)s is not noted in the outbox.") % {"name": task.name}
    words = _("Task %(name)s was done") if row.done_at else _("Task %(name)s waits")
    parts = [words % {"name": task.name}]
    if row.sent_at is not None:
        parts.append(_("last sent at %(time)s") % {"time": f"{row.sent_at:%H:%M:%S}"})
    if row.attempts:
        again = ngettext("sent again %(count)d time", "sent again %(count)d times", row.attempts)
        parts.append(again % {"count": row.attempts})
    return f"{'; '.join(parts)}."


def _task_tone(task: Task) -> Tone:
    return {"done": "good", "forgotten": ""}.get(task.state, "warn")  # type: ignore[return-value]


# What is of the same moment is told in this order.
_PARTS: Sequence[Callable[[Story], Iterable[Line]]] = (
    _questions,
    _beginning,
    _attempts,
    _verdicts,
    _answer,
    _handing_over,
    _ending,
    _money,
    _tasks,
)
