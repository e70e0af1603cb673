"""What the console's front page tells: what needs attention, today's figures, models and processes."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from asgiref.sync import async_to_sync
from django.conf import settings
from django.db import connection
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chatbot import config, presence
from chatbot.config import Config, ConfigError
from chatbot.providers import health
from chatbot.providers.health import Health
from chatbot.sharing import SharedState
from chatbot.state import State
from conversations import counters, screening
from conversations.models import UNFINISHED, HourlyCounter, OutboxEntry, Turn
from conversations.pages import attention, numbers
from conversations.pages.attention import Item
from conversations.pages.figures import HOURS, Figure, figures
from conversations.pages.model_states import MOST_ATTEMPTS, ModelState, model_states, recent_attempts

WEB, QUEUES = "web", ("after", "long")
MOST_WAITING = 1000  # counted one by one up to here, then "more than"
SETTLED = timedelta(seconds=60)  # younger outbox entries are on their way


@dataclass(frozen=True, slots=True)
class Waiting:
    """What is left to do after turns: `count` overdue entries, at most MOST_WAITING + 1."""

    count: int
    oldest_at: datetime | None


@dataclass(frozen=True, slots=True)
class Processes:
    """How many of each kind there are, and what waits in Redis; None throughout when Redis is away.

    `healths` are what they know of the models, by name."""

    here: dict[str, int] | None
    queued: dict[str, int] | None
    healths: Mapping[str, Health]


@dataclass(frozen=True, slots=True)
class ProcessRow:
    """One line of the panel: what, its badge, and a detail."""

    name: str
    kind: str
    icon: str
    state: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything the page shows."""

    now: datetime
    items: list[Item]
    figures: list[Figure]
    models: list[ModelState]
    models_note: str
    processes: list[ProcessRow]


def read(*, open_verdicts: int) -> Overview:
    """Read it all: six queries and one visit to Redis, whatever the tables hold."""
    now = timezone.now()
    rows = _counters(now)
    attempts = recent_attempts(now)
    waiting = _waiting(now)
    loaded, mistakes = _config()
    processes = _processes(loaded.health_keys() if loaded else {})
    running = Turn.objects.filter(status__in=UNFINISHED).count()
    states = model_states(loaded, attempts, processes.healths) if loaded else []
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    items = [
        *attention.of_config(loaded, mistakes),
        *attention.of_models(loaded, states),
        *attention.of_processes(processes.here),
        *attention.of_waiting(waiting.count, waiting.oldest_at, now),
        *attention.of_screening(is_usable=screening.is_usable()),
        *attention.of_verdicts(open_verdicts),
        *attention.of_today(counters.total(row for row in rows if row.hour >= today)),
    ]
    return Overview(
        now=now,
        items=sorted(items, key=lambda item: attention.ORDER.index(item.kind)),
        figures=figures(rows, now),
        models=states,
        models_note=_("the last %(number)s attempts") % {"number": MOST_ATTEMPTS}
        if len(attempts) == MOST_ATTEMPTS
        else _("last 15 minutes"),
        processes=_process_rows(processes, waiting, running),
    )


def _counters(now: datetime) -> Sequence[HourlyCounter]:
    """Return the rows of today and the hours before, and of this day a week ago."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    start = min(today, counters.hour_of(now) - timedelta(hours=HOURS))
    week = timedelta(days=7)
    return counters.between((today - week, today - week + timedelta(days=1)), (start, now))


def _waiting(now: datetime) -> Waiting:
    overdue = OutboxEntry.objects.filter(done_at__isnull=True, created_at__lt=now - SETTLED)
    found = list(overdue.order_by("created_at").values_list("created_at", flat=True)[: MOST_WAITING + 1])
    return Waiting(len(found), found[0] if found else None)


@async_to_sync
async def _processes(health_keys: Mapping[str, str]) -> Processes:
    state = State(settings.REDIS_URL)
    try:
        stored = await SharedState(state).read(list(health_keys.values())) if health_keys else None
        return Processes(
            await presence.count(state, (WEB, *QUEUES)),
            await presence.queued(state, QUEUES),
            {name: health.load(one) for name, one in zip(health_keys, stored or (), strict=False)},
        )
    finally:
        await state.aclose()


@lru_cache(maxsize=1)
def _config() -> tuple[Config | None, tuple[str, ...]]:
    """Return config.yaml as this process has it, or its mistakes."""
    try:
        return config.load(settings.CONFIG_FILE, os.environ), ()
    except ConfigError as error:
        return None, error.mistakes


def _process_rows(processes: Processes, waiting: Waiting, running: int) -> list[ProcessRow]:
    here, queued = processes.here, processes.queued
    rows = [
        ProcessRow(_("Database"), "good", "check", _("Running"), connection.display_name),
        ProcessRow(_("Redis"), *(("good", "check", _("Running")) if here else ("bad", "close", _("Away")))),
    ]
    turns = ngettext("%(number)s turn is running", "%(number)s turns are running", running) % {
        "number": numbers.count(running)
    }
    rows.append(_counted(_("Web processes"), here, WEB, turns))
    names = {"after": _("Worker for what follows a turn"), "long": _("Worker for long tasks")}
    for queue in QUEUES:
        in_queue = (queued or {}).get(queue, 0)
        detail = ngettext("%(number)s message waits", "%(number)s messages wait", in_queue)
        rows.append(
            _counted(
                names[queue], here, queue, detail % {"number": numbers.count(in_queue)} if in_queue else ""
            )
        )
    late = numbers.count(min(waiting.count, MOST_WAITING))
    rows.append(
        ProcessRow(
            _("Tasks that should be done"),
            "warn" if waiting.count else "good",
            "clock" if waiting.count else "check",
            _("More than %(number)s wait") % {"number": late}
            if waiting.count > MOST_WAITING
            else _("%(number)s wait") % {"number": late}
            if waiting.count
            else _("None waits"),
        )
    )
    return rows


def _counted(name: str, here: dict[str, int] | None, kind: str, detail: str) -> ProcessRow:
    if here is None:
        return ProcessRow(name, "", "", _("Unknown"), detail)
    if not here[kind]:
        return ProcessRow(name, "warn", "warn", _("None"), detail)
    return ProcessRow(name, "good", "check", _("%(number)s running") % {"number": here[kind]}, detail)
