"""What needs attention: a fact, what follows from it, and where to look. Pure functions."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.conf import settings
from django.urls import reverse
from django.utils.formats import time_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from chatbot.config import LOCAL, Config
from conversations import verdicts
from conversations.counters import Tally
from conversations.pages import numbers
from conversations.pages.model_states import ModelState

ORDER = ("bad", "warn", "info")
LATE = timedelta(minutes=5)  # the sweep has tried more than once by then
FAILED_SHARE, FAILED_COUNT = 0.05, 3


@dataclass(frozen=True, slots=True)
class Item:
    """One line of the list; `kind` is one of ORDER, `link` an address and the words on its button."""

    kind: str
    icon: str
    fact: str
    consequence: str
    link: tuple[str, str] | None = None
    is_for_all: bool = False  # else the link is for those who may read conversations


def of_config(config: Config | None, mistakes: Sequence[str]) -> Iterable[Item]:
    """Tell what is wrong with config.yaml, which routes have no model, and that the small one answers."""
    if config is None:
        more = len(mistakes) - 1
        text = mistakes[0]
        if more:
            text += " " + ngettext("%(number)d more mistake.", "%(number)d more mistakes.", more) % {
                "number": more
            }
        yield Item("bad", "flow", _("config.yaml cannot be used"), text)
        return
    for name, route in config.routes.items():
        if not config.steps(route):
            yield Item(
                "bad",
                "flow",
                _("Route “%(route)s” has no usable model") % {"route": name},
                _("Its visitors get no answer. Set a key for one of its steps in config.yaml."),
            )
    if config.needs_local:
        yield Item(
            "info",
            "flask",
            _("A small demonstration model is answering"),
            _(
                "It runs on this machine and makes things up."
                " Set OPENAI_API_KEY, or name a service in config.yaml."
            ),
        )


def of_models(config: Config | None, states: Iterable[ModelState]) -> Iterable[Item]:
    """Tell which models do not answer, and who answers in their place."""
    for state in states:
        if config is None or state.failing_since is None:
            continue
        others = _others(config, state)
        yield Item(
            "bad",
            "bolt",
            _("%(model)s is not answering") % {"model": state.name},
            _("Since %(time)s UTC: %(reason)s.")
            % {"time": time_format(state.failing_since, "H:i"), "reason": state.reason}
            + " "
            + (
                _("Its visitors are served by %(models)s; nothing is lost.")
                % {"models": _(", ").join(others)}
                if others
                else _("No other model is on its route: visitors are told that there is no answer now.")
            ),
            (
                reverse("admin:conversations_completion_changelist") + "?status__exact=failed",
                _("See attempts"),
            ),
        )


def of_processes(here: Mapping[str, int] | None) -> Iterable[Item]:
    """Tell what is not running."""
    if here is None:
        yield Item(
            "bad",
            "offline",
            _("Redis is away"),
            _("Answers still come and are stored. Other tabs, limits and counting wait until it is back."),
        )
        return
    missing = {
        "after": (
            _("No worker takes up what follows a turn"),
            _("Turns are not counted until one runs; nothing is lost. Start `celery worker -Q after`."),
        ),
        "long": (
            _("No worker takes up long tasks"),
            _("They wait until one runs. Start `celery worker -Q long`."),
        ),
    }
    for queue, (fact, consequence) in missing.items():
        if not here[queue]:
            yield Item("warn", "gear", fact, consequence)


def of_waiting(count: int, oldest_at: datetime | None, now: datetime) -> Iterable[Item]:
    """Tell of tasks that never ran although they were sent more than once."""
    if oldest_at is None or now - oldest_at < LATE:
        return
    yield Item(
        "warn",
        "clock",
        ngettext("%(number)s task has not run", "%(number)s tasks have not run", count)
        % {"number": numbers.count(count)},
        _("The oldest waits for %(age)s. Figures lack these turns until then.")
        % {"age": numbers.age(now - oldest_at)},
        (reverse("admin:conversations_outboxentry_changelist") + "?done=no", _("See tasks")),
    )


def of_screening(*, is_usable: bool) -> Iterable[Item]:
    """Tell that the rules cannot be read, and what becomes of visitors then."""
    if is_usable:
        return
    yield Item(
        "bad",
        "shield",
        _("The rules of screening cannot be read"),
        _("Answers are shown without being screened.")
        if settings.SCREENING_FAIL_OPEN
        else _("Nothing is answered until they can: no message is taken, and nothing unscreened is shown."),
        (reverse("rules"), _("See rules")),
    )


def of_verdicts(count: int) -> Iterable[Item]:
    """Tell of findings that nobody has decided about."""
    if not count:
        return
    yield Item(
        "info",
        "shield",
        ngettext("%(number)s finding waits for a decision", "%(number)s findings wait for a decision", count)
        % {"number": numbers.at_most(count, verdicts.MOST_COUNTED)},
        _("What was blocked stays withdrawn until somebody overturns it."),
        (reverse("moderation"), _("Decide")),
        is_for_all=True,
    )


def of_today(today: Tally) -> Iterable[Item]:
    """Tell when more turns fail than can be chance."""
    turns, failed = today.counts["turns"], today.counts["failed"] + today.counts["interrupted"]
    if failed < FAILED_COUNT or failed < FAILED_SHARE * turns:
        return
    yield Item(
        "warn",
        "warn",
        _("%(share)s of today’s turns failed or were cut off") % {"share": numbers.percent(failed / turns)},
        ngettext("%(number)s turn.", "%(number)s turns.", failed) % {"number": numbers.count(failed)}
        + " "
        + _("Each visitor was offered to try again."),
        (reverse("admin:conversations_turn_changelist") + "?status__exact=failed&days=1", _("See turns")),
    )


def _others(config: Config, state: ModelState) -> list[str]:
    """Return the other models that can answer on the routes of this one."""
    found: dict[str, None] = {}
    for route in config.routes.values():
        names = [name for step in config.steps(route) for name, _weight in step]
        models = [config.models[name].model for name in names if name != LOCAL]
        if state.name in models:
            found.update(dict.fromkeys(model for model in models if model != state.name))
    return list(found)
