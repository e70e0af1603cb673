"""Statements written out, for what runs several times in every turn.

Building them anew with the ORM cost a turn some 20,000 calls and several times what the database
itself does; see the benchmark `turn`. Everything else uses the ORM.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

import orjson
from django.db import DEFAULT_DB_ALIAS, connection, connections, models

_Prepare = Callable[[Any], Any]


def moment(at: datetime) -> Any:
    """Return an instant as a parameter of the database at hand: SQLite keeps text, in UTC."""
    return at if _is_postgresql() else str(at.astimezone(UTC).replace(tzinfo=None))


@cache
def _is_postgresql() -> bool:
    return connection.vendor == "postgresql"


def instant(stored: datetime) -> datetime:
    """Return a stored instant as it is read: SQLite has no time zones, all is UTC."""
    return stored if stored.tzinfo is not None else stored.replace(tzinfo=UTC)


def insert(row: models.Model) -> None:
    """Write a new row, whose primary key it has or the database gives. Raises IntegrityError like save()."""
    sql, columns = _insert(type(row))
    values = [getattr(row, name) for name, _ in columns]
    execute(
        sql,
        [
            value if prepare is None or value is None else prepare(value)
            for value, (_, prepare) in zip(values, columns, strict=True)
        ],
    )


@cache
def _insert(model: type[models.Model]) -> tuple[str, tuple[tuple[str, _Prepare | None], ...]]:
    fields = [each for each in model._meta.concrete_fields if not isinstance(each, models.AutoField)]
    columns = ", ".join(f'"{field.column}"' for field in fields)
    holders = ", ".join(["%s"] * len(fields))
    prepared = tuple((field.attname, _prepare(field)) for field in fields)
    return f'INSERT INTO "{model._meta.db_table}" ({columns}) VALUES ({holders})', prepared  # noqa: S608


def _prepare(field: "models.Field[Any, Any]") -> _Prepare | None:
    if isinstance(field, models.DateTimeField):
        return moment
    if isinstance(field, models.JSONField):
        return _as_json
    return None


def _as_json(value: Any) -> Any:
    return connection.ops.adapt_json_value(value, None) if _is_postgresql() else orjson.dumps(value).decode()


def execute(sql: str, parameters: Sequence[Any]) -> int:
    """Run one statement and return how many rows it moved."""
    moved: int = _run(sql, parameters, lambda cursor: cursor.rowcount)
    return moved


def fetch(sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    """Return the first row, or None."""
    row: tuple[Any, ...] | None = _run(sql, parameters, lambda cursor: cursor.fetchone())
    return row


def fetch_all(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return all rows."""
    rows: list[tuple[Any, ...]] = _run(sql, parameters, lambda cursor: cursor.fetchall())
    return rows


def _run(sql: str, parameters: Sequence[Any], result: Callable[[Any], Any]) -> Any:
    """Use the driver's own cursor: Django's layers around it cost as much as a statement."""
    database = connections[DEFAULT_DB_ALIAS]
    database.ensure_connection()
    with database.wrap_database_errors:
        cursor = database.connection.cursor()
        cursor.execute(sql if _is_postgresql() else _question_marks(sql), parameters)
        return result(cursor)


@cache
def _question_marks(sql: str) -> str:
    return sql.replace("%s", "?")


def for_update_of(table: str) -> str:
    """Return what locks the selected rows of `table`; SQLite's transactions lock the whole file."""
    return f" FOR UPDATE OF {table}" if _is_postgresql() else ""


def lock_row(table: str, key: str) -> None:
    """Let nobody else lock this row until the transaction ends; others may refer to it."""
    if _is_postgresql():
        fetch(f"SELECT id FROM {table} WHERE id = %s FOR NO KEY UPDATE", [key])  # noqa: S608
