"""`manage.py ask "…"`: one question from the terminal."""

import asyncio
import os
import sys
from contextlib import ExitStack
from typing import Any

import orjson
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from chatbot import config, database, localmodel
from conversations import trials
from conversations.routes import Routes


class Command(BaseCommand):
    """Ask a route or a model, and show the answer as it comes."""

    help = "Ask one question and stream the answer, with timings, tokens and cost."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read what to ask, and whom."""
        parser.add_argument("question")
        parser.add_argument("--route", default="default", help="A route of config.yaml.")
        parser.add_argument("--model", help="A model row of config.yaml, in place of a route.")
        parser.add_argument("--system", default="", help="The system prompt.")
        parser.add_argument("--json", action="store_true", help="Print one JSON object and nothing else.")

    def handle(
        self,
        *args: Any,
        question: str,
        route: str,
        model: str | None,
        system: str,
        json: bool,
        **options: Any,
    ) -> None:
        """Ask; exit 0 when the answer is complete."""
        if not question.strip():
            raise CommandError("Ask something.")
        if MigrationExecutor(connection).migration_plan(
            MigrationExecutor(connection).loader.graph.leaf_nodes()
        ):
            call_command("migrate", verbosity=0)
        with ExitStack() as running:
            if self._needs_local(route, model) and not os.environ.get("LOCAL_MODEL_URL"):
                self.stderr.write("Starting the local model…")
                try:
                    os.environ.update(running.enter_context(localmodel.running()).environ)
                except localmodel.NotServingError as error:
                    raise CommandError(str(error)) from error
            trial = asyncio.run(self._ask(question, route, model, system, is_quiet=json))
        database.close()
        if json:
            self.stdout.write(orjson.dumps(trial.as_json()).decode())
        else:
            self.stdout.write("")
            self._tell(trial)
        if not trial.is_complete:
            sys.exit(1)

    def _needs_local(self, route: str, model: str | None) -> bool:
        try:
            known = Routes.config()
        except config.ConfigError as error:
            raise CommandError(str(error)) from error
        if model is not None:
            if model not in known.models:
                raise CommandError(f"config.yaml has no model `{model}`; it has {', '.join(known.models)}.")
            return model == config.LOCAL
        if route not in known.routes:
            raise CommandError(f"config.yaml has no route `{route}`; it has {', '.join(known.routes)}.")
        return known.steps(known.routes[route]) == (((config.LOCAL, 1.0),),)

    async def _ask(
        self, question: str, route: str, model: str | None, system: str, *, is_quiet: bool
    ) -> trials.Trial:
        routes = Routes.load()
        try:
            asked = routes.named(route) if model is None else routes.only(model)
            return await trials.ask(
                asked, question, system=system, show=(lambda _: None) if is_quiet else self._show
            )
        finally:
            await routes.aclose()

    def _show(self, text: str) -> None:
        self.stdout.write(text, ending="")
        self.stdout.flush()

    def _tell(self, trial: trials.Trial) -> None:
        if trial.error is not None:
            self.stderr.write(f"{trial.error.kind}: {trial.error.message}")
        for number, (name, error) in enumerate(trial.attempts, start=1):
            self.stderr.write(f"attempt {number}: {name}{f' failed ({error.kind})' if error else ''}")
        usage = trial.usage
        first = "none" if trial.first_delta_ms is None else f"{trial.first_delta_ms} ms"
        self.stderr.write(
            f"first delta {first} · total {trial.total_ms} ms · "
            f"tokens {_or_unknown(usage.input_tokens)} in, {_or_unknown(usage.output_tokens)} out "
            f"({usage.kind}) · cost unknown · finish {trial.finish or 'none'}"
        )


def _or_unknown(count: int | None) -> str:
    return "unknown" if count is None else str(count)
