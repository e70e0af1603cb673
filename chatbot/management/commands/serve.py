"""`manage.py serve`: prepare the database, then hand over to the supervisor."""

import os
from argparse import ArgumentTypeError
from collections.abc import Iterator
from io import StringIO
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import DatabaseError, connection, connections
from django.db.migrations.executor import MigrationExecutor

from chatbot import config, listening, localmodel, metrics, supervisor
from conversations.demo import DEMO


class Command(BaseCommand):
    """Run the whole product on this machine."""

    help = "Migrate, then run Redis, the workers, the web processes and the local model until Ctrl-C."

    def add_arguments(self, parser: CommandParser) -> None:
        """Say where to listen, and with how many processes."""
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--workers", type=_at_least_one, default=1, help="web processes on the one port")

    def handle(self, *_args: Any, **options: Any) -> None:
        """Serve until a signal ends it. What cannot work is said in one sentence, with exit code 1."""
        try:
            known = config.load(settings.CONFIG_FILE, os.environ)
            needs_local = known.needs_local
            for note in known.build().notes():
                self._say(note)
            shared = listening.listen(options["host"], options["port"])
            address = listening.url(shared)
            logins = self._prepare()
            plan = supervisor.Plan(
                listening=shared,
                web_processes=options["workers"],
                drain_s=settings.DRAIN_S,
                redis_url=os.environ.get("REDIS_URL", "").strip() or None,
                needs_local_model=needs_local and localmodel.is_installed(),
                read_ahead=DEMO.instructions,
            )
            self._say("Starting the processes …")
            code = supervisor.serve(
                plan,
                say=self._say,
                when_ready=lambda has_local: _welcome(
                    address, logins, needs_local=needs_local, has_local=has_local
                ),
            )
        except (config.ConfigError, listening.CannotListenError, supervisor.CannotServeError) as error:
            raise SystemExit(str(error)) from error
        except KeyboardInterrupt:  # while the database was prepared: nothing runs yet
            raise SystemExit(130) from None
        except DatabaseError as error:
            raise SystemExit(f"The database cannot be used: {error}".strip()) from error
        raise SystemExit(code)

    def _prepare(self) -> list[str]:
        """Bring the database up to date; return what the demo data has to tell, which it tells once."""
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self._say("Preparing the database …")
            call_command("migrate", verbosity=0, interactive=False)
        call_command("prices", "fill", stdout=StringIO(), stderr=StringIO())
        told = StringIO()
        call_command("demo", stdout=told)
        metrics.start_afresh()
        connections.close_all()
        if hasattr(connection, "close_pool"):  # PostgreSQL's would keep a connection and a thread
            connection.close_pool()
        return told.getvalue().splitlines()

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()


def _at_least_one(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise ArgumentTypeError(f"`{text}` is not a number from 1 on")
    return int(text)


def _welcome(address: str, logins: list[str], *, needs_local: bool, has_local: bool) -> Iterator[str]:
    yield ""
    yield f"Ready.  Chat:     {address}"
    yield f"        Console:  {address}console/"
    for line in logins:
        yield f"        {line}"
    if has_local:
        yield "        Model:    SmolLM2-135M on this machine, for demonstration only."
    elif needs_local:
        yield "        Model:    none; the small one for demonstration does not run here."
    if needs_local:
        yield "                  For a real service set OPENAI_API_KEY, or edit config.yaml, and start again."
    yield "        Stop:     Ctrl-C"
    yield ""
