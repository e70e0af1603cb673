"""Opaque ids that sort by the time they were made."""

import os
import time
from datetime import datetime
from typing import TYPE_CHECKING

from django.db import models
from django.db.backends.base.base import BaseDatabaseWrapper

_LENGTH = 26
_DIGITS = "0123456789abcdefghjkmnpqrstvwxyz"  # Crockford's base 32: no i, l, o, u


def new_id() -> str:
    """Return a ULID in lower case: 48 bits of milliseconds, 80 random bits (github.com/ulid/spec)."""
    return _written((time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10)))


def first_id_at(instant: datetime) -> str:
    """Return the least id that can have been made at `instant` or later."""
    return _written(int(instant.timestamp() * 1000) << 80)


def _written(number: int) -> str:
    return "".join([_DIGITS[number >> shift & 31] for shift in range(125, -1, -5)])


if TYPE_CHECKING:
    _Text = models.CharField[str, str]
else:
    _Text = models.CharField


class IdField(_Text):
    """A ULID column.

    On PostgreSQL the type is spelt in full: Django gives every unique or related "varchar" a second
    index for LIKE, which would double the writes for ids that are only ever compared whole.
    """

    def __init__(self, **options: object) -> None:
        options.setdefault("max_length", _LENGTH)
        super().__init__(**options)  # type: ignore[arg-type]

    def db_type(self, connection: BaseDatabaseWrapper) -> str | None:
        """Return the column's type."""
        if connection.vendor == "postgresql":
            return f"character varying({self.max_length})"
        return super().db_type(connection)
