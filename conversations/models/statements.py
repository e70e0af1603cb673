"""Statements written out, for what runs several times in every turn.

Building them anew with the ORM cost a turn some 20,000 calls and several times what the database
itself does; see the benchmark `turn`. Everything else uses the ORM.
"""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import cache
from typing import Any

from django.db import connection, models

_Prepare = Callable[[Any], Any]


def moment(at: datetime) -> Any:
    """Return an instant as a parameter of the database at hand."""
    return at if connection.vendor == "postgresql" else connection.ops.adapt_datetimefield_value(at)


def instant(stored: datetime) -> datetime:
    """Return a stored instant as it is read: SQLite has no time zones, all is UTC."""
    return stored if stored.tzinfo is not None else stored.replace(tzinfo=UTC)


def insert(row: models.Model) -> None:
    """Write a new row, whose primary key it has or the database gives. Raises IntegrityError like save()."""
    sql, columns = _insert(type(row))
    values = [getattr(row, name) for name, _ in columns]
    with connection.cursor() as cursor:
        cursor.execute(
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
    return connection.ops.adapt_json_value(value, None)


def execute(sql: str, parameters: Sequence[Any]) -> int:
    """Run one statement and return how many rows it moved."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        moved: int = cursor.rowcount
    return moved


def fetch(sql: str, parameters: Sequence[Any]) -> tuple[Any, ...] | None:
    """Return the first row, or None."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        row: tuple[Any, ...] | None = cursor.fetchone()
    return row


def fetch_all(sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Return all rows."""
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
    return rows


def for_update_of(table: str) -> str:
    """Return what locks the selected rows of `table`; SQLite's transactions lock the whole file."""
    return f" FOR UPDATE OF {table}" if connection.vendor == "postgresql" else ""
