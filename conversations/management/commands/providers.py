"""`manage.py providers`: what config.yaml offers, what of it can be used, and how it does."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandParser

from chatbot.config import LOCAL
from conversations import trials
from conversations.bookings import Bookings
from conversations.management import terminal
from conversations.routes import Routes
from conversations.standing import ModelStanding, RouteStanding, Standing, standing

Probes = Mapping[str, trials.Trial]


class Command(BaseCommand):
    """List providers, models and routes, and which parameters a model does not take as config.yaml says
    them; with --probe, ask each usable model for one word."""

    help = "List providers, models and routes: which can be used, and why not."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read what to do."""
        parser.add_argument("--probe", action="store_true", help="Ask each usable model for one word.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object and nothing else.")

    def handle(self, *args: Any, probe: bool, json: bool, **options: Any) -> None:
        """Print it; exit 1 when a probe failed."""
        known = terminal.said()
        with terminal.ready(local=probe and known.needs_local, tell=self.stderr.write):
            found, probes = asyncio.run(self._look(probe=probe))
        notes = known.build().notes()
        if json:
            self.stdout.write(orjson.dumps({**as_json(found, probes), "notes": notes}).decode())
        else:
            self._tell(found, probes)
            for line in ["", *notes] if notes else []:
                self.stdout.write(line)
        if any(not trial.is_complete for trial in probes.values()):
            sys.exit(1)

    async def _look(self, *, probe: bool) -> tuple[Standing, Probes]:
        routes = Routes.load()
        try:
            found = standing(routes.said, await routes.healths())
            names = [model.name for model in found.models if model.is_usable]
            probes = await trials.probe(routes, names, bookings=Bookings()) if probe else {}
            return found, probes
        finally:
            await routes.aclose()

    def _tell(self, found: Standing, probes: Probes) -> None:
        usable = {model.name: model.is_usable for model in found.models}
        self.stdout.write(
            terminal.table(
                ("PROVIDER", "KIND", "STATE"),
                [(each.name, each.kind, each.reason or "usable") for each in found.providers],
            )
        )
        self.stdout.write("")
        self.stdout.write(
            terminal.table(
                ("MODEL", "PROVIDER", "ASKED AS", "STATE"),
                [(each.name, each.provider, each.model, _state(each)) for each in found.models],
            )
        )
        self.stdout.write("")
        self.stdout.write(
            terminal.table(
                ("ROUTE", "STATE", "STEPS"),
                [(each.name, each.reason or "usable", _steps(each, usable)) for each in found.routes],
            )
        )
        if probes:
            self.stdout.write("")
            head = ("PROBE", "FIRST DELTA", "TOTAL", "TOKENS IN", "OUT", "COST", "ERROR")
            self.stdout.write(terminal.table(head, [_probe(name, trial) for name, trial in probes.items()]))


def as_json(found: Standing, probes: Probes) -> dict[str, Any]:
    """All of it, for other programs."""
    usable = {model.name: model.is_usable for model in found.models}
    return {
        "providers": [
            {"name": each.name, "kind": each.kind, "usable": each.is_usable, "reason": each.reason or None}
            for each in found.providers
        ],
        "models": [
            {
                "name": each.name,
                "provider": each.provider,
                "model": each.model,
                "usable": each.is_usable,
                "reason": each.reason or None,
                "breaker": "open" if each.is_resting else "closed",
                "probe": _probe_json(probes.get(each.name)),
            }
            for each in found.models
        ],
        "routes": [
            {
                "name": each.name,
                "usable": each.is_usable,
                "reason": each.reason or None,
                "steps": [
                    [{"model": name, "weight": weight, "usable": usable[name]} for name, weight in step]
                    for step in each.steps
                ],
            }
            for each in found.routes
        ],
    }


def _probe_json(trial: trials.Trial | None) -> dict[str, Any] | None:
    if trial is None:
        return None
    said = trial.as_json()
    wanted = ("complete", "first_delta_ms", "total_ms", "usage", "cost", "error")
    return {name: said[name] for name in wanted}


def _state(model: ModelStanding) -> str:
    if model.is_resting:
        return f"rests after failures ({model.health.kind})"
    return model.reason or "usable"


def _steps(route: RouteStanding, usable: Mapping[str, bool]) -> str:
    """The steps in order; what cannot be used now stands in brackets."""

    def name(model: str) -> str:
        return model if usable[model] or model == LOCAL else f"({model})"

    return " → ".join(
        name(step[0][0])
        if len(step) == 1
        else " | ".join(f"{name(model)} {weight:g}" for model, weight in step)
        for step in route.steps
        if step
    )


def _probe(name: str, trial: trials.Trial) -> tuple[str, ...]:
    usage, words = trial.usage, terminal.count_words
    return (
        name,
        "–" if trial.first_delta_ms is None else f"{trial.first_delta_ms} ms",
        f"{trial.total_ms} ms",
        words(usage.input_tokens),
        words(usage.output_tokens),
        terminal.cost_words(trial.cost),
        f"{trial.error.kind}: {trial.error.message}" if trial.error else "",
    )
