"""`manage.py ask "…"`: one question from the terminal."""

import asyncio
import sys
from typing import Any

import orjson
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot.config import LOCAL
from chatbot.providers.messages import ChatMessage, CompletionRequest
from conversations import trials
from conversations.bookings import Bookings
from conversations.management import terminal
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
        with terminal.ready(local=self._needs_local(route, model), tell=self.stderr.write):
            trial = asyncio.run(self._ask(question, route, model, system, is_quiet=json))
        if json:
            self.stdout.write(orjson.dumps(trial.as_json()).decode())
        else:
            self.stdout.write("")
            self._tell(trial)
        if not trial.is_complete:
            sys.exit(1)

    def _needs_local(self, route: str, model: str | None) -> bool:
        known = terminal.said()
        if model is None:
            return terminal.needs_local(known, route)
        if model not in known.models:
            raise CommandError(f"config.yaml has no model `{model}`; it has {', '.join(known.models)}.")
        return model == LOCAL

    async def _ask(
        self, question: str, route: str, model: str | None, system: str, *, is_quiet: bool
    ) -> trials.Trial:
        routes = Routes.load()
        try:
            return await trials.ask(
                routes.named(route) if model is None else routes.only(model),
                CompletionRequest(system=system, messages=(ChatMessage("user", question),)),
                bookings=Bookings(),
                show=(lambda _: None) if is_quiet else self._show,
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
        usage, words = trial.usage, terminal.count_words
        first = "none" if trial.first_delta_ms is None else f"{trial.first_delta_ms} ms"
        self.stderr.write(
            f"first delta {first} · total {trial.total_ms} ms · "
            f"tokens {words(usage.input_tokens)} in, {words(usage.output_tokens)} out ({usage.kind}) · "
            f"cost {terminal.cost_words(trial.cost)} · finish {trial.finish or 'none'}"
        )
