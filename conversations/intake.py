"""Taking in what visitors send: a message, or the wish for another answer, becomes a turn.

Functions are synchronous and whole transactions.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils import timezone

from conversations import budgets, lifecycle, screening, transcript, verdicts
from conversations.errors import (
    BlockedInputError,
    BudgetExhaustedError,
    BusyError,
    ConflictError,
    ConversationError,
    NotFoundError,
)
from conversations.events import ConversationView, MessageView
from conversations.lifecycle import TakenTurn, UnfinishedTurn
from conversations.models import UNFINISHED, ConversationStatus, Message, MessageStatus, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A stored message, and what follows: a turn begun here, or one to be restarted where it runs.

    `refusal` says why there is none, though the message is stored: where money is short, the next turn
    answers it too; what a rule blocks is never answered.

    `counts` says whether a turn had to be allowed for it; `closed` is the id of the conversation that
    had been over, so that the message opened another.
    """

    message: MessageView
    conversation: ConversationView
    is_new: bool
    counts: bool = False
    begun: TakenTurn | None = None
    restarted: UnfinishedTurn | None = None
    closed: str | None = None
    refusal: ConversationError | None = None


def accept(
    *,
    visitor_id: str,
    assistant_id: int,
    conversation_id: str | None,
    client_id: str,
    text: str,
    locale: str,
    process: str,
    refusal: ConversationError | None,
) -> Accepted:
    """Store a visitor's message and begin, restart or leave the turn that answers it.

    `refusal` is raised if the message would need a turn of its own. A message sent again gives the
    same answer again. Raises NotFoundError, ConflictError, BusyError, or `refusal`.
    """
    try:
        with transaction.atomic():
            return _accept(
                visitor_id=visitor_id,
                assistant_id=assistant_id,
                conversation_id=conversation_id,
                client_id=client_id,
                text=text,
                locale=locale,
                process=process,
                refusal=refusal,
            )
    except (IntegrityError, ConversationError) as error:
        try:
            message, conversation = transcript.stored_before(visitor_id, client_id, text)
        except Message.DoesNotExist:
            raise error from None
        return Accepted(
            message=transcript.view(message),
            conversation=transcript.head(conversation),
            is_new=False,
            refusal=_blocked() if message.status == MessageStatus.BLOCKED else None,
        )


def _accept(
    *,
    visitor_id: str,
    assistant_id: int,
    conversation_id: str | None,
    client_id: str,
    text: str,
    locale: str,
    process: str,
    refusal: ConversationError | None,
) -> Accepted:
    now = timezone.now()
    closed: str | None = None
    conversation = transcript.lock(conversation_id, visitor_id) if conversation_id else None
    if conversation is not None and transcript.is_over(conversation, now):
        transcript.close(conversation, now)
        closed, conversation = conversation.id, None
    if conversation is None:
        conversation = transcript.open_conversation(
            visitor_id=visitor_id, assistant_id=assistant_id, locale=locale, now=now
        )
    before = conversation.last_position
    screened = screening.screen_input(text)
    message = transcript.store(
        conversation,
        client_id=client_id,
        text=text,
        now=now,
        is_blocked=screened.is_blocked,
        is_masked=screened.is_masked,
    )
    if screened.findings:
        verdicts.record(
            [verdicts.of_finding(finding, text) for finding in screened.findings],
            stage="input",
            conversation_id=conversation.id,
            message_id=message.id,
        )
    begun: TakenTurn | None = None
    restarted: UnfinishedTurn | None = None
    counts = False
    refused: ConversationError | None = None
    if screened.is_blocked:
        counts, refused = True, _blocked()
        if refusal is not None:
            raise refusal
    elif conversation.status == ConversationStatus.OPEN:
        unfinished = _unfinished_of(visitor_id)
        running = next((each for each in unfinished if each.conversation_id == conversation.id), None)
        counts = running is None or running.position == before
        if counts and refusal is not None:  # a turn begins now, or will when the running one ends
            raise refusal
        if running is None and budgets.standing(conversation.assistant_id, visitor_id).is_exhausted:
            counts, refused = False, BudgetExhaustedError("There is no money left for this turn.")
        elif running is None:
            _allow_one_more(unfinished)
            begun = lifecycle.taken(
                lifecycle.begin(
                    conversation,
                    after=conversation.answered_through,
                    through=message.position,
                    process=process,
                )
            )
        elif running.position is None:
            restarted = lifecycle.restart(running, through=message.position)
    return Accepted(
        message=transcript.view(message),
        conversation=transcript.head(conversation),
        is_new=True,
        counts=counts,
        begun=begun,
        restarted=restarted,
        closed=closed,
        refusal=refused,
    )


def _blocked() -> ConversationError:
    return BlockedInputError("A rule keeps this message from being answered.")


def _unfinished_of(visitor_id: str) -> list[UnfinishedTurn]:
    """Return the visitor's unfinished turns; nobody begins another where their number is limited."""
    if settings.LIMIT_PARALLEL_TURNS_VISITOR:
        lifecycle.lock_visitor(visitor_id)
    return lifecycle.unfinished_of(visitor_id)


def _allow_one_more(unfinished: Sequence[UnfinishedTurn]) -> None:
    """Raise BusyError where a visitor has as many turns at once as may be."""
    limit = settings.LIMIT_PARALLEL_TURNS_VISITOR
    if limit and len(unfinished) >= limit:
        raise BusyError


def retry(*, visitor_id: str, turn_id: str, process: str, refusal: ConversationError | None) -> TakenTurn:
    """Begin a turn that answers the same messages anew. Only the last, ended one: else ConflictError."""
    with transaction.atomic():
        old = Turn.objects.filter(pk=turn_id, visitor_id=visitor_id).first()
        if old is None:
            raise NotFoundError("There is no such turn.")
        conversation = transcript.lock(old.conversation_id, visitor_id)
        newest = Turn.objects.filter(conversation_id=conversation.id).order_by("-created_at", "-id").first()
        if newest != old or newest.status in UNFINISHED or conversation.status != ConversationStatus.OPEN:
            raise ConflictError("Only the last answer can be asked for again, once it has ended.")
        if refusal is not None:
            raise refusal
        if budgets.standing(conversation.assistant_id, visitor_id).is_exhausted:
            raise BudgetExhaustedError("There is no money left for this turn.")
        _allow_one_more(_unfinished_of(visitor_id))
        row = lifecycle.begin(
            conversation,
            after=newest.after,
            through=newest.through,
            process=process,
            replaces=newest.message_id,
        )
        return lifecycle.taken(row)
