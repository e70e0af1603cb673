import os
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from chatbot import config, listening, probes, web
from chatbot.asgi import application
from conversations import runner


class Command(BaseCommand):
    help = "Run one web process. SIGTERM drains it: running answers get DRAIN_S, tabs go elsewhere."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--fd", type=int, help="a listening socket that the parent process has opened")

    def handle(self, *_args: Any, **options: Any) -> None:
        try:
            known = config.load(settings.CONFIG_FILE, os.environ)
            if options["fd"] is not None:
                found = listening.inherited(options["fd"])
            else:
                for note in known.build().notes():  # `serve` has said it for its children
                    self.stderr.write(note)
                found = listening.listen(options["host"], options["port"])
        except (config.ConfigError, listening.CannotListenError) as error:
            raise CommandError(str(error)) from error
        code = web.serve(
            application,
            found,
            on_start=[runner.start],
            on_drain=[probes.drain, runner.drain],
            drain_s=settings.DRAIN_S,
        )
        raise SystemExit(code)
