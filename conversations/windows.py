"""The window of one completion: loaded, cut for its target, written down, and rebuilt."""

import hmac
import secrets
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.conf import settings
from django.db import IntegrityError, transaction

from chatbot.providers import fallback
from chatbot.providers.errors import BadRequest, NotUsable
from chatbot.providers.messages import CompletionRequest
from conversations import billing, hiding, history, prompting, screening, tokens
from conversations.budgets import OverspentError
from conversations.hiding import Hidden
from conversations.lifecycle import TakenTurn
from conversations.models import (
    Completion,
    HistoryWindow,
    Message,
    MessageStatus,
    PromptVersion,
    Purpose,
    statements,
)
from conversations.moderation.answer import AnswerGate
from conversations.moderation.placeholders import Passage
from conversations.moderation.ruleset import Ruleset

_DEFAULT_CONTEXT_TOKENS = 4096  # for a model whose row does not say
_DEFAULT_OUTPUT_TOKENS = 1024
_SPARE_ROWS = 10
_MASKED_ROWS = 500  # before those that are loaded; further values begin to count where the window begins
_POSITIONS_PER_ROW = 2  # nearly every position has a message
_ROWS_FOR_BURSTS = 5  # times what question and answer in turn would need


@dataclass(frozen=True, slots=True)
class Rows:
    """The messages a turn may show, loaded once for all its attempts, as the model sees them.

    See history.fit; `hidden` is what it does not see, by `rules`.
    """

    earlier: list[history.Entry]
    newest: list[history.Entry]
    oldest_known: int
    rules: Ruleset
    hidden: Hidden


@dataclass(slots=True)
class Attempt:
    """One completion in the making, as far as it is known. `started` is on the monotonic clock."""

    completion_id: str
    number: int
    provider: str
    model: str
    started: float
    input_tokens: int
    first_delta_ms: int | None = None


Prepared = tuple[Rows, CompletionRequest, Attempt, AnswerGate]


def load(turn: TakenTurn, version: PromptVersion) -> Rows:
    """Read the newest messages a window may need: a bounded number, however long the conversation."""
    limit = 2 * version.window_exchanges + _SPARE_ROWS
    entries = _newest(turn, limit)
    if len(entries) == limit and history.count_exchanges(entries) <= version.window_exchanges:
        limit *= _ROWS_FOR_BURSTS
        entries = _newest(turn, limit)
    oldest_known = entries[0].position if len(entries) == limit else 0
    if oldest_known > turn.after + 1:  # a burst longer than the window: all of it is shown
        entries = [each for each in _newest(turn, turn.through - turn.after) if each.position > turn.after]
        oldest_known = turn.after + 1
    rules, hidden = screening.rules(), hiding.NOTHING
    if rules.masks("input") and entries:
        earlier = _masked_before(turn.conversation_id, entries[0].position)
        entries, hidden = hiding.hide(entries, rules, earlier)
    return Rows(
        earlier=[each for each in entries if not _is_new(each, turn)],
        newest=[each for each in entries if _is_new(each, turn)],
        oldest_known=oldest_known,
        rules=rules,
        hidden=hidden,
    )


def _is_new(entry: history.Entry, turn: TakenTurn) -> bool:
    return entry.is_visitor and entry.position > turn.after and entry.status != MessageStatus.BLOCKED


def _masked_before(conversation_id: str, position: int) -> list[str]:
    """Return the visitor's messages with masked passages before a position, the first of them first."""
    found = statements.fetch_all(
        "SELECT text FROM conversations_message WHERE conversation_id = %s AND is_masked"
        " AND position < %s ORDER BY position LIMIT %s",
        [conversation_id, position, _MASKED_ROWS],
    )
    return [text for (text,) in found]


def _newest(turn: TakenTurn, limit: int) -> list[history.Entry]:
    """Return the last `limit` messages up to the newest that the turn answers, oldest first."""
    # Without a lower bound, PostgreSQL may sort all of a conversation that it takes for a short one.
    lowest = max(0, turn.through - _POSITIONS_PER_ROW * limit)
    found = _read(turn, lowest, limit)
    if lowest and len(found) < limit:
        found = _read(turn, 0, limit)
    return [_entry(*each) for each in reversed(found)]


def _read(turn: TakenTurn, lowest: int, limit: int) -> list[tuple[Any, ...]]:
    return statements.fetch_all(
        "SELECT id, position, role, text, status, replaces_id FROM conversations_message"
        " WHERE conversation_id = %s AND position > %s AND position <= %s ORDER BY position DESC LIMIT %s",
        [turn.conversation_id, lowest, turn.through, limit],
    )


def _entry(
    message_id: str, position: int, role: str, text: str, status: str, replaces: str | None
) -> history.Entry:
    return history.Entry(
        id=message_id,
        position=position,
        is_visitor=role == "visitor",
        text=text,
        status=status,
        is_note=role == "note",
        replaces=replaces,
    )


def _key(salt: str) -> bytes:
    """Return the key of a window's HMAC."""
    return f"{settings.SECRET_KEY}:{salt}".encode()


def prepare(
    turn: TakenTurn,
    version: PromptVersion,
    rows: Rows | None,
    route: fallback.Route,
    attempt: fallback.Attempt,
    number: int,
) -> Prepared:
    """Cut the window for a target; write the completion, its window and its hold, before the request.

    `rows` are those of an earlier attempt, or None; `number` is the completion's, if no other process
    has taken it. Raises BadRequest (context_length) where the newest messages alone are too much for
    the target, and NotUsable (budget) where the call may cost more than a budget has left.
    """
    target = attempt.target
    parameters = route.parameters_for(target, prompting.parameters_of(version.parameters))
    rows = rows or load(turn, version)
    system = prompting.render_system(version.instructions, screening.canary(version))
    count, is_exact = tokens.counter_for(target.model)
    output_tokens = parameters.max_output_tokens or _DEFAULT_OUTPUT_TOKENS
    limits = history.limits_for(
        exchanges=version.window_exchanges,
        percent=version.window_percent,
        context_tokens=target.context_tokens or _DEFAULT_CONTEXT_TOKENS,
        max_output_tokens=output_tokens,
    )
    try:
        window = history.fit(
            rows.earlier,
            rows.newest,
            oldest_known=rows.oldest_known,
            system_tokens=count(system) + tokens.MESSAGE_OVERHEAD,
            count=lambda text: count(text) + tokens.MESSAGE_OVERHEAD,
            limits=limits,
        )
    except history.WindowTooSmallError as error:
        raise BadRequest("context_length", str(error)) from error
    request = prompting.compose(system=system, sent=window.sent, parameters=parameters)
    salt = secrets.token_hex(16)
    completion = Completion(
        turn_id=turn.id,
        number=number,
        route=route.name,
        target=target.name,
        provider=target.provider.name,
        model=target.model,
    )
    record = HistoryWindow(
        completion=completion,
        system=system,
        sent=[entry.position for entry in window.sent],
        dropped=[{"from": each.first, "to": each.last, "reason": each.reason} for each in window.dropped],
        hidden={
            str(entry.position): passages for entry in window.sent if (passages := _hidden_of(entry, rows))
        },
        parameters=prompting.stored_parameters(parameters),
        input_tokens=window.tokens,
        is_exact=is_exact,
        limit_tokens=limits.tokens,
        salt=salt,
        hmac=prompting.digest(request, model=target.model, key=_key(salt)),
    )
    hold = Hold(output_tokens, version.assistant_id, turn.visitor_id)
    try:
        _write(completion, record, hold)
    except OverspentError as error:
        transaction.on_commit(partial(billing.refused, error), robust=True)
        raise NotUsable("budget", str(error)) from error
    return (
        rows,
        request,
        Attempt(
            completion_id=completion.id,
            number=completion.number,
            provider=target.provider.name,
            model=target.model,
            started=time.monotonic(),
            input_tokens=window.tokens,
        ),
        AnswerGate(
            screening.guarded(version, rows.rules),
            originals=rows.hidden.originals,
            known=rows.hidden.values,
        ),
    )


def _hidden_of(entry: history.Entry, rows: Rows) -> Sequence[Passage]:
    return rows.hidden.passages.get(entry.position, ())


@dataclass(frozen=True, slots=True)
class Hold:
    """What is held for a call: the longest answer it asks for, and whose it is."""

    output_tokens: int
    assistant_id: int
    visitor_id: str


def _write(completion: Completion, record: HistoryWindow, hold: Hold) -> None:
    """Write all of it. Where another process had the turn before, the number is the next after its last."""
    while True:
        try:
            with transaction.atomic():
                statements.insert(completion)
                statements.insert(record)
                billing.hold(
                    completion,
                    input_tokens=record.input_tokens,
                    output_tokens=hold.output_tokens,
                    purpose=Purpose.VISITOR,
                    assistant_id=hold.assistant_id,
                    visitor_id=hold.visitor_id,
                )
        except IntegrityError:
            found = statements.fetch(
                "SELECT MAX(number) FROM conversations_completion WHERE turn_id = %s", [completion.turn_id]
            )
            if found is None or found[0] is None or found[0] < completion.number:
                raise
            completion.number = found[0] + 1
        else:
            return


def rebuild(completion: Completion) -> tuple[CompletionRequest, bool]:
    """Return the request of a completion, put together again, and whether its HMAC still matches."""
    assert completion.turn is not None
    conversation_id, sent = completion.turn.conversation_id, completion.window.sent
    return rebuild_from(
        completion, Message.objects.filter(conversation_id=conversation_id, position__in=sent)
    )


def rebuild_from(completion: Completion, messages: Iterable[Message]) -> tuple[CompletionRequest, bool]:
    """Do what `rebuild` does, with messages that were read before: those that were sent, in any order."""
    window = completion.window
    request = prompting.compose(
        system=window.system,
        sent=[
            hiding.again(
                _entry(each.id, each.position, each.role, each.text, each.status, each.replaces_id),
                window.hidden,
            )
            for each in sorted(messages, key=lambda message: message.position)
        ],
        parameters=prompting.parameters_of(window.parameters),
    )
    digest = prompting.digest(request, model=completion.model, key=_key(window.salt))
    return request, hmac.compare_digest(digest, window.hmac)
