"""What is counted and logged of each call to a model service."""

import logging
from dataclasses import dataclass

import structlog

from chatbot import metrics
from chatbot.metrics import Counter, Gauge, Histogram
from chatbot.providers.base import Target
from chatbot.providers.gate import Outcome
from chatbot.providers.health import Health

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Meters:
    """The numbers of one target, looked up once."""

    answered: Counter
    failed: Counter
    cancelled: Counter
    refused: Counter
    first_delta: Histogram
    total: Histogram
    input_tokens: Counter
    output_tokens: Counter
    resting: Gauge


class CallLog:
    """Hears of every call of this process: for /metrics, and a line in the log for each that failed."""

    def __init__(self) -> None:
        self._meters: dict[str, _Meters] = {}

    def ended(self, target: Target, outcome: Outcome) -> None:
        """Count a call."""
        meters = self._of(target)
        error = outcome.error
        if outcome.is_refused:
            meters.refused.inc()
        elif error is not None:
            meters.failed.inc()
        elif outcome.is_cancelled:
            meters.cancelled.inc()
        else:
            meters.answered.inc()
        if not outcome.is_refused:
            meters.total.observe(outcome.total_s)
        if outcome.first_delta_s is not None:
            meters.first_delta.observe(outcome.first_delta_s)
        if outcome.usage.input_tokens:
            meters.input_tokens.inc(outcome.usage.input_tokens)
        if outcome.usage.output_tokens:
            meters.output_tokens.inc(outcome.usage.output_tokens)
        if error is None:
            return
        metrics.TARGET_ERRORS.labels(target.name, error.kind).inc()
        log.log(
            logging.INFO if outcome.is_refused else logging.WARNING,
            "attempt failed",
            target=target.name,
            provider=target.provider.name,
            model=target.model,
            kind=error.kind,
            code=error.code,
            status=error.status,
            provider_request_id=error.request_id,
            first_delta_ms=None if outcome.first_delta_s is None else int(outcome.first_delta_s * 1000),
            total_ms=int(outcome.total_s * 1000),
        )

    def turned(self, target: Target, health: Health, *, ours: bool) -> None:
        """Note that a target rests, or is well again; one of the processes tells."""
        is_resting = health.resting_since is not None
        self._of(target).resting.set(is_resting)
        if ours and is_resting:
            log.warning("target rests", target=target.name, provider=target.provider.name, kind=health.kind)
        elif ours:
            log.info("target is well again", target=target.name, provider=target.provider.name)

    def _of(self, target: Target) -> _Meters:
        meters = self._meters.get(target.name)
        if meters is None:
            name = target.name
            calls = {outcome: metrics.TARGET_CALLS.labels(name, outcome) for outcome in metrics.OUTCOMES}
            meters = self._meters[name] = _Meters(
                **calls,
                first_delta=metrics.TARGET_FIRST_DELTA.labels(name),
                total=metrics.TARGET_TOTAL.labels(name),
                input_tokens=metrics.TARGET_TOKENS.labels(name, "input"),
                output_tokens=metrics.TARGET_TOKENS.labels(name, "output"),
                resting=metrics.TARGET_RESTING.labels(name),
            )
            meters.resting.set(0)
        return meters
