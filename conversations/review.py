"""Review: what was said, looked at once more after it was shown.

By rules that are only for this, because they are too slow for the stream, and by a service's own
moderation, if config.yaml names one. It may hide an answer; what visitors say is only ever flagged.
Functions are synchronous, for a worker.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache, partial

import structlog
from django.conf import settings
from django.db import transaction

from chatbot import metrics
from chatbot.configrows import ModerationRow
from chatbot.providers.errors import ProviderError
from chatbot.providers.moderations import Judgement
from chatbot.sealed import SealedTokens
from chatbot.sharing import SharedState
from chatbot.state import State
from conversations import decisions, notices, rulebook, verdicts
from conversations.models import LockedConversation, Message, MessageStatus, Role, Turn, VerdictSource
from conversations.routes import Routes
from conversations.verdicts import Found

log = structlog.get_logger(__name__)

SHOWN = (MessageStatus.FINAL, MessageStatus.STOPPED, MessageStatus.INTERRUPTED)
MAX_MESSAGES = 50  # of one turn: longer bursts are told by the last of them


@dataclass(frozen=True, slots=True)
class Reviewed:
    """A message, and what was found in it."""

    message: Message
    found: Sequence[Found]


def look(turn_id: str) -> list[Reviewed]:
    """Look at an ended turn's messages; nothing is written.

    Raises ProviderError where a service could not judge them, and may later.
    """
    messages = [each for each in _messages(turn_id) if each.text]
    found = {each.pk: _by_rules(each) for each in messages}
    row = _moderation()
    if row is not None:
        for message, judgement in zip(messages, _judged([each.text for each in messages]), strict=True):
            found[message.pk] += _by_service(row, judgement, message)
    return [Reviewed(each, found[each.pk]) for each in messages if found[each.pk]]


def _messages(turn_id: str) -> list[Message]:
    turn = Turn.objects.select_related("answer").get(pk=turn_id)
    asked = Message.objects.filter(
        conversation_id=turn.conversation_id,
        role=Role.VISITOR,
        position__gt=turn.after,
        position__lte=turn.through,
        status__in=SHOWN,
    )
    said = list(asked.order_by("-position")[:MAX_MESSAGES])
    return [*said, turn.answer] if turn.answer.status in SHOWN else said


def _by_rules(message: Message) -> list[Found]:
    """Return what those rules find that are for nothing else: the others were asked in time."""
    return [
        _harmless(message, verdicts.of_finding(finding, message.text))
        for finding in rulebook.current().screen(message.text, "review").findings
        if finding.rule.stages == {"review"}
    ]


def _by_service(row: ModerationRow, judgement: Judgement, message: Message) -> list[Found]:
    """Return the categories that are too much, as findings in the whole text."""
    return [
        _harmless(
            message,
            Found(
                source=VerdictSource.ENDPOINT,
                rule_name=name,
                action=row.action,
                start=0,
                end=len(message.text),
            ),
        )
        for name, score in sorted(judgement.categories.items())
        if (not row.categories or name in row.categories)
        and (judgement.is_flagged if row.threshold is None else score >= row.threshold)
    ]


def _harmless(message: Message, found: Found) -> Found:
    """What a visitor has said is only flagged; an answer that a rule would have blocked is hidden."""
    if message.role == Role.VISITOR:
        return replace(found, action="flag", withheld="")
    return replace(found, action="hide") if found.action == "block" else found


@cache
def _moderation() -> ModerationRow | None:
    return Routes.config().moderation


def forget() -> None:
    """Read config.yaml anew."""
    _moderation.cache_clear()


def _judged(texts: Sequence[str]) -> list[Judgement]:
    return asyncio.run(_ask(texts))


async def _ask(texts: Sequence[str]) -> list[Judgement]:
    """Ask the service, one text after the other. One that will never judge them is an alarm, no obstacle."""
    state = State(settings.REDIS_URL)
    tokens = SealedTokens(SharedState(state), secret=settings.SECRET_KEY)
    moderator = Routes.config().moderator(tokens=tokens)
    assert moderator is not None
    try:
        return [await moderator.judge(text) for text in texts]
    except ProviderError as error:
        if error.retryable:
            raise
        metrics.SCREENING_BROKEN.inc()
        told = {"kind": error.kind, "code": error.code, "provider_request_id": error.request_id}
        log.error("moderation refused", **told)  # noqa: TRY400 - where it was raised says nothing
        return [Judgement(False, {}) for _ in texts]
    finally:
        await moderator.aclose()
        await state.aclose()


def write(reviewed: Sequence[Reviewed]) -> None:
    """Write the verdicts, and hide what they forbid from all tabs. Needs a transaction."""
    for each in reviewed:
        message = each.message
        LockedConversation.get(message.conversation_id)
        verdicts.record(
            each.found, stage="review", conversation_id=message.conversation_id, message_id=message.pk
        )
        message.refresh_from_db()
        if message.role != Role.VISITOR and decisions.settle(message):
            transaction.on_commit(partial(notices.message_changed, message.conversation_id, message.pk))
