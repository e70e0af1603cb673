"""What the commands that ask models share: a database, the local model, and words for what came of it."""

import contextlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from io import StringIO

from django.core.management import CommandError, call_command
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from chatbot import config, database, localmodel, state
from chatbot.config import LOCAL, Config
from conversations import prices
from conversations.models import NANOS
from conversations.routes import Routes
from conversations.trials import Cost

COLUMN_CHARS = 60  # what is longer says the rest elsewhere


def said() -> Config:
    """Return what config.yaml says. Raises CommandError."""
    try:
        return Routes.config()
    except config.ConfigError as error:
        raise CommandError(str(error)) from error


def needs_local(known: Config, route: str) -> bool:
    """Whether this route is answered by the model on this machine. Raises CommandError for an unknown one."""
    if route not in known.routes:
        raise CommandError(f"config.yaml has no route `{route}`; it has {', '.join(known.routes)}.")
    return known.steps(known.routes[route]) == (((LOCAL, 1.0),),)


@contextlib.contextmanager
def ready(*, local: bool, tell: Callable[[str], object]) -> Iterator[None]:
    """Have a database with its tables, a price for each model that has one, and, where it is needed, the
    local model. Raises CommandError."""
    logging.getLogger(state.__name__).setLevel(logging.ERROR)  # without Redis a command counts for itself
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        call_command("migrate", verbosity=0)
    known = prices.known()
    if any((row.provider, row.model) not in known for row in said().models.values()):
        call_command("prices", "fill", stdout=StringIO(), stderr=StringIO())
    with contextlib.ExitStack() as running:
        if local and not os.environ.get("LOCAL_MODEL_URL"):
            tell("Starting the local model…")
            try:
                os.environ.update(running.enter_context(localmodel.running()).environ)
            except localmodel.NotServingError as error:
                raise CommandError(str(error)) from error
        try:
            yield
        finally:
            database.close()


def cost_words(cost: Cost) -> str:
    """Say a cost, such as `0.000123 USD`."""
    if cost.nanos is None:
        return "unknown"
    return f"{cost.nanos / NANOS:.6f} {cost.currency or ''}".rstrip()  # nothing has no currency


def count_words(count: int | None) -> str:
    """Say a count."""
    return "unknown" if count is None else str(count)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines with aligned columns, under their names."""
    cells = [[*(_short(cell) for cell in row[:-1]), row[-1]] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    )


def _short(text: str) -> str:
    return text if len(text) <= COLUMN_CHARS else text[: COLUMN_CHARS - 1] + "…"
