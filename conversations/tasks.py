"""What follows a turn, in the workers. Each task takes ids and may run twice without harm."""

from collections.abc import Callable, Sequence
from contextlib import suppress

import structlog
from celery import current_app, shared_task
from django.db import transaction

from chatbot.providers.errors import ProviderError
from conversations import alerts, billing, corrections, counters, outbox, review
from conversations.models import BudgetAlert, Completion, Turn

log = structlog.get_logger(__name__)

LOG_TURN = "conversations.log_turn"
BILL_TURN = "conversations.bill_turn"
MODERATE_TURN = "conversations.moderate_turn"
AFTER_TURN = (LOG_TURN, BILL_TURN, MODERATE_TURN)


def after_turn(turn_id: str) -> None:
    """Note, in the transaction that ends the turn, what must follow it."""
    outbox.add(AFTER_TURN, turn_id)


def send(task: str, keys: list[str]) -> None:
    """Send one task through the broker; raises when the broker is away."""
    current_app.send_task(task, (keys,))


@shared_task(name=LOG_TURN)
def log_turn(turn_ids: list[str]) -> None:
    """Count ended turns in their hours and log each as one line, without its text."""
    _each_or_all(turn_ids, _log_turns)


@shared_task(name=BILL_TURN)
def bill_turn(turn_ids: list[str]) -> None:
    """Close what is held for the attempts of ended turns with what they cost."""
    _each_or_all(turn_ids, _bill_turns)


@shared_task(name=MODERATE_TURN)
def moderate_turn(turn_ids: list[str]) -> None:
    """Look once more at what was said in ended turns; what a service could not judge is tried again."""
    for key in outbox.undone(MODERATE_TURN, turn_ids):
        try:
            reviewed = review.look(key)  # in no transaction: it may ask a service
            with transaction.atomic():
                if outbox.claim(MODERATE_TURN, [key]):
                    review.write(reviewed)
        except ProviderError as error:
            log.warning("turn not reviewed", turn_id=key, error=error.kind)
        except Exception:
            log.exception("task failed", turn_id=key)


@shared_task(name="conversations.sweep_ledger")
def sweep_ledger() -> None:
    """Close what is held for calls of which nobody will ever tell."""
    count = billing.sweep()
    if count:
        log.info("ledger swept", holds=count)


@shared_task(name=corrections.REPRICE)
def reprice(price_ids: list[str]) -> None:
    """Correct what was settled by another price than the one that held; may run again without harm."""
    for key in outbox.undone(corrections.REPRICE, price_ids):
        count = corrections.reprice(int(key))
        if count is None:
            continue  # the outbox's sweep sends it again
        with transaction.atomic():
            outbox.claim(corrections.REPRICE, [key])
        log.info("calls repriced", price=key, calls=count)


@shared_task(name=billing.SEND_ALERT)
def send_budget_alert(alert_ids: list[str]) -> None:
    """Tell operators that a budget runs out; what fails is sent again by the outbox's sweep."""
    for key in outbox.undone(billing.SEND_ALERT, alert_ids):
        try:  # before the entry is done, and in no transaction: others would wait for it
            alerts.send(BudgetAlert.objects.select_related("budget__assistant").get(pk=key))
        except Exception:
            log.exception("alert not sent", key=key)
        else:
            with transaction.atomic():
                outbox.claim(billing.SEND_ALERT, [key])


@shared_task(name="conversations.sweep_outbox")
def sweep_outbox() -> None:
    """Send again what never ran; a full batch is followed by the next one."""
    batches = outbox.overdue()
    for task, keys in batches:
        send(task, keys)
    count = sum(len(keys) for _task, keys in batches)
    if count:
        log.info("outbox swept", entries=count)
    if count == outbox.SWEEP_BATCH:
        sweep_outbox.apply_async()


@shared_task(name="conversations.forget_done")
def forget_done() -> None:
    """Delete entries that were done long ago; a full batch is followed by the next one."""
    if outbox.forget_done() == outbox.SWEEP_BATCH:
        forget_done.apply_async()


def _each_or_all(keys: Sequence[str], work: Callable[[Sequence[str]], None]) -> None:
    """Do the work for all keys in one transaction, or, should that fail, in one for each of them.

    One key that cannot be worked on holds up no other; it stays in the outbox, for the sweep.
    """
    try:
        with transaction.atomic():
            work(keys)
    except Exception:
        if len(keys) == 1:
            log.exception("task failed", turn_id=keys[0])
            raise
        log.exception("task failed for a batch", keys=len(keys))
        for key in keys:
            with suppress(Exception):  # that was logged
                _each_or_all([key], work)


def _bill_turns(turn_ids: Sequence[str]) -> None:
    billing.bill(outbox.claim(BILL_TURN, turn_ids))


def _log_turns(turn_ids: Sequence[str]) -> None:
    claimed = outbox.claim(LOG_TURN, turn_ids)
    turns = Turn.objects.filter(pk__in=claimed).select_related("conversation__assistant", "version")
    attempts: dict[str, list[Completion]] = {}
    for completion in Completion.objects.filter(turn__in=claimed).order_by("turn", "number"):
        attempts.setdefault(str(completion.turn_id), []).append(completion)
    pairs = [(turn, attempts.get(turn.pk, [])) for turn in turns]
    counters.record(pairs)
    for turn, completions in pairs:
        _log_line(turn, completions)


def _log_line(turn: Turn, completions: Sequence[Completion]) -> None:
    """Log one ended turn. Before the commit: a line that comes twice can be told by its turn."""
    last = completions[-1] if completions else None
    log.info(
        "turn logged",
        turn_id=turn.pk,
        conversation_id=turn.conversation_id,
        assistant=turn.conversation.assistant.slug,
        version=turn.version.number,
        status=turn.status,
        error=turn.error or None,
        route=last.route if last else turn.version.route,
        provider=last.provider if last else None,
        model=last.model if last else None,
        attempts=len(completions),
        failed_attempts=[each.error for each in completions if each.error],
        provider_request_id=(last and last.request_id) or None,
        input_tokens=last.input_tokens if last else None,
        output_tokens=last.output_tokens if last else None,
        usage=last.usage_kind if last else None,
        first_delta_ms=turn.first_delta_ms,
        duration_ms=counters.duration_ms(turn),
        takeovers=turn.takeovers,
    )
