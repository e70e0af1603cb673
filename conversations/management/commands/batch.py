"""`manage.py batch in.jsonl out.jsonl`: a file of requests, answered many at a time."""

import asyncio
import sys
import time
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper

from conversations import batches, trials
from conversations.batches import Batch, Progress
from conversations.bookings import Bookings
from conversations.journal import Journal, NotAJournalError
from conversations.management import terminal
from conversations.models import Purpose
from conversations.routes import Routes

PATIENCE_S = 600.0  # for our own limits: a batch has time
BAR_CHARS = 30
REDRAW_S = 0.2
TELL_S = 10.0  # between two lines where nobody watches
INTERRUPTED = 130


class Command(BaseCommand):
    """Answer each line of a file, and go on where an earlier run stopped."""

    help = (
        "Answer a file of requests: a JSON object a line, with `question` or `messages`, and `id`, `system`"
        " and `parameters` if wanted. Lines that the file of answers holds already are left out."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Read what to ask, and whom."""
        parser.add_argument("requests", type=Path, help="The file of requests, JSON lines.")
        parser.add_argument("answers", type=Path, help="The file of answers; a run goes on with it.")
        parser.add_argument("--route", default="default", help="A route of config.yaml.")
        parser.add_argument("--parallel", type=int, default=8, help="How many are asked at once.")

    def handle(
        self, *args: Any, requests: Path, answers: Path, route: str, parallel: int, **options: Any
    ) -> None:
        """Answer them; exit 0 when every line has an answer, 1 when some failed, 130 when interrupted."""
        if parallel < 1:
            raise CommandError("`--parallel` must be at least 1.")
        local = terminal.needs_local(terminal.said(), route)
        with terminal.ready(local=local, tell=self.stderr.write):
            try:
                progress = asyncio.run(self._answer(requests, answers, route, parallel))
            except (NotAJournalError, OSError) as error:
                raise CommandError(_sentence(error)) from error
            except KeyboardInterrupt:
                self.stderr.write("\nInterrupted; the same command goes on from here.")
                sys.exit(INTERRUPTED)
        self.stderr.write(
            f"{progress.done} of {progress.total} lines answered, {progress.failed} of them failed."
        )
        if progress.failed:
            sys.exit(1)

    async def _answer(self, requests: Path, answers: Path, route: str, parallel: int) -> Progress:
        total = batches.count_lines(requests)
        routes, bookings, journal = Routes.load(), Bookings(Purpose.BATCH), Journal(answers)
        asked = routes.patient(route, wait_s=PATIENCE_S)

        async def ask(request: Any) -> trials.Trial:
            return await trials.ask(asked, request, bookings=bookings)

        progress = Progress(total, done=journal.done, failed=journal.failed, before=journal.done)
        bar = Bar(progress, self.stderr)
        try:
            batch = Batch(ask, journal, progress, changed=bar.draw)
            await batch.run(batches.read_lines(requests, but=journal), parallel=parallel)
        except ExceptionGroup as group:
            raise group.exceptions[0] from None  # one mistake stops them all
        finally:
            bar.end()
            await journal.aclose()
            await routes.aclose()
        return progress


class Bar:
    """How far it is: redrawn on a terminal, a line now and then elsewhere."""

    def __init__(self, progress: Progress, out: OutputWrapper) -> None:
        self._progress = progress
        self._out = out
        self._is_terminal = out.isatty()
        self._began = self._drawn = time.monotonic()

    def draw(self) -> None:
        """Draw it, if it is time."""
        now = time.monotonic()
        if now - self._drawn >= (REDRAW_S if self._is_terminal else TELL_S):
            self._drawn = now
            self._write(self.words())

    def end(self) -> None:
        """Draw it for the last time."""
        self._write(self.words())
        if self._is_terminal:
            self._out.write("")

    def words(self) -> str:
        """`[######----]  60 %  600/1000  3 failed  12.3/s  33 s left`"""
        progress = self._progress
        share = progress.done / progress.total if progress.total else 1.0
        filled = int(share * BAR_CHARS)
        rate = (progress.done - progress.before) / max(time.monotonic() - self._began, 0.001)
        left = f"  {(progress.total - progress.done) / rate:.0f} s left" if rate else ""
        failed = f"  {progress.failed} failed" if progress.failed else ""
        return (
            f"[{'#' * filled}{'-' * (BAR_CHARS - filled)}] {share:4.0%}"
            f"  {progress.done}/{progress.total}{failed}  {rate:.1f}/s{left}"
        )

    def _write(self, words: str) -> None:
        text, ending = (f"\r{words}\x1b[K", "") if self._is_terminal else (words, "\n")
        self._out.write(text, style_func=str, ending=ending)
        self._out.flush()


def _sentence(error: Exception) -> str:
    if isinstance(error, OSError):
        return f"`{error.filename or 'the file of answers'}` cannot be used: {error.strerror}."
    return str(error)
