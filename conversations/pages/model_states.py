"""How each configured model has done in the last minutes: from config.yaml and the latest attempts."""

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from django.db.models import FilteredRelation, Q
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from chatbot.config import LOCAL, Config
from chatbot.providers.breaker import RESTING
from chatbot.providers.health import UNKNOWN, Health
from conversations.models import Completion, CompletionStatus, EntryKind
from conversations.pages import numbers

RECENT = timedelta(minutes=15)
MOST_ATTEMPTS = 500  # so that a busy day costs the page no more than a quiet one
NOT_ANSWERING = 3  # failures in a row
SLOW_MS = 3000
ERRORS_SHARE = 0.2

ERRORS: Mapping[str, object] = {
    "auth": gettext_lazy("the key is refused"),
    "auth_expired": gettext_lazy("the key has expired"),
    "permission": gettext_lazy("the key may not use this model"),
    "not_found": gettext_lazy("the service knows no such model"),
    "invalid_request": gettext_lazy("the service refuses the request"),
    "context_length": gettext_lazy("the request is too long for the model"),
    "rate_limit": gettext_lazy("too many requests"),
    "quota": gettext_lazy("the quota is used up"),
    "overloaded": gettext_lazy("the service is overloaded"),
    "server": gettext_lazy("the service fails"),
    "timeout": gettext_lazy("no answer in time"),
    "content_filter": gettext_lazy("the service’s own filter"),
    "incomplete_stream": gettext_lazy("answers break off"),
    "unavailable": gettext_lazy("no connection"),
    "bad_response": gettext_lazy("answers we cannot read"),
    "limited": gettext_lazy("our own limit"),
    "not_configured": gettext_lazy("not configured"),
    "budget": gettext_lazy("the budget is used up"),
}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, as far as this page needs it."""

    provider: str
    model: str
    status: str
    error: str
    first_delta_ms: int | None
    started_at: datetime
    total_ms: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cost_nanos: int | None = None
    currency: str | None = None


@dataclass(frozen=True, slots=True)
class ModelState:
    """One row of the table. `kind` is the badge's class, `failing_since` set when nothing answers; times
    are medians, `costs` what is booked so far, in nano-units by currency."""

    name: str
    provider: str
    kind: str
    icon: str
    state: str
    reason: str
    answers: int
    errors: int
    first_delta_ms: float | None
    total_ms: float | None = None
    tokens: int = 0
    costs: Mapping[str, int] = field(default_factory=dict)
    failing_since: datetime | None = None

    @property
    def wait(self) -> str:
        """The time to the first word; empty when none came."""
        return "" if self.first_delta_ms is None else numbers.seconds(self.first_delta_ms)

    @property
    def total(self) -> str:
        """The time of a whole answer; empty when there was none."""
        return "" if self.total_ms is None else numbers.seconds(self.total_ms)

    @property
    def spent(self) -> str:
        """Tokens read and written."""
        return numbers.count(self.tokens)

    @property
    def cost(self) -> str:
        """What it cost, in each currency; empty where nothing is booked, or no price is known."""
        return " + ".join(numbers.money(nanos, currency) for currency, nanos in self.costs.items())


def recent_attempts(now: datetime) -> list[Attempt]:
    """Return the attempts of the last minutes, newest first, at most MOST_ATTEMPTS. Those that an open
    breaker refused say nothing of the model."""
    rows = Completion.objects.filter(started_at__gte=now - RECENT).exclude(error_code=RESTING)
    booked = FilteredRelation("entries", condition=Q(entries__kind=EntryKind.SETTLE))
    rows = rows.annotate(booked=booked).order_by("-started_at")
    fields = (
        "provider", "model", "status", "error", "first_delta_ms", "started_at", "total_ms", "input_tokens",
        "output_tokens", "booked__amount_nanos", "booked__currency",
    )  # fmt: skip
    return [Attempt(*row) for row in rows.values_list(*fields)[:MOST_ATTEMPTS]]


def model_states(
    config: Config, attempts: Iterable[Attempt], healths: Mapping[str, Health]
) -> list[ModelState]:
    """Return the state of every model some route lists, in config.yaml's order. `healths` are what the
    breakers know, by name."""
    by_model: dict[tuple[str, str], list[Attempt]] = {}
    for attempt in attempts:
        by_model.setdefault((attempt.provider, attempt.model), []).append(attempt)
    listed = {name for route in config.routes.values() for step in route.steps for name, _weight in step}
    return [
        _state(config, name, by_model.get((row.provider, row.model), []), healths.get(name, UNKNOWN))
        for name, row in sorted(config.models.items(), key=lambda pair: pair[0] == LOCAL)
        if name in listed
    ]


def error_words(kind: str) -> str:
    """Say in a few words what an ErrorKind means."""
    return str(ERRORS.get(kind, kind))


def _state(config: Config, name: str, attempts: Sequence[Attempt], health: Health) -> ModelState:
    """`attempts` are this model's, newest first."""
    row = config.models[name]
    provider = config.providers[row.provider]
    ended = [each for each in attempts if each.status != CompletionStatus.RUNNING]
    failed = [each for each in ended if each.error]
    waits = [each.first_delta_ms for each in ended if each.first_delta_ms is not None]
    totals = [
        each.total_ms
        for each in ended
        if each.status == CompletionStatus.COMPLETED and each.total_ms is not None
    ]
    costs: dict[str, int] = {}
    for each in attempts:
        if each.cost_nanos is not None and each.currency:
            costs[each.currency] = costs.get(each.currency, 0) + each.cost_nanos
    in_a_row = next((index for index, each in enumerate(ended) if not each.error), len(ended))
    kind, icon, state, reason = "good", "check", _("Healthy"), ""
    failing_since = None
    if name == LOCAL and not config.needs_local:
        kind, icon, state, reason = "", "", _("Standing by"), ""
    elif provider.absent is not None:
        kind, icon, state, reason = "", "", _("Not set up"), provider.absent
    elif health.resting_since is not None:
        kind, icon, state, reason = "bad", "bolt", _("Not answering"), error_words(health.kind)
        failing_since = datetime.fromtimestamp(health.resting_since, UTC)
    elif in_a_row >= NOT_ANSWERING:
        kind, icon, state, reason = "bad", "bolt", _("Not answering"), error_words(failed[0].error)
        failing_since = ended[in_a_row - 1].started_at
    elif failed and len(failed) >= ERRORS_SHARE * len(ended):
        kind, icon, state, reason = "warn", "warn", _("Errors"), error_words(failed[0].error)
    elif waits and statistics.median(waits) > SLOW_MS:
        kind, icon, state = "warn", "clock", _("Slow")
    elif not ended:
        kind, icon, state = "", "", _("Not asked lately")
    return ModelState(
        name=_("small demonstration model") if name == LOCAL else row.model,
        provider=_("this machine") if name == LOCAL else row.provider,
        kind=kind,
        icon=icon,
        state=state,
        reason=reason,
        answers=sum(each.status == CompletionStatus.COMPLETED for each in ended),
        errors=len(failed),
        first_delta_ms=statistics.median(waits) if waits else None,
        total_ms=statistics.median(totals) if totals else None,
        tokens=sum((each.input_tokens or 0) + (each.output_tokens or 0) for each in ended),
        costs=costs,
        failing_since=failing_since,
    )
