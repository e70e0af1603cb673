"""A database of a test's own, copied from one that is migrated once: a SQLite file, or one in PostgreSQL."""

import os
import secrets
import shutil
import sqlite3
import subprocess
import sys
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import psycopg

ROOT = Path(__file__).resolve().parents[2]


class Database(ABC):
    """Named by `url`. Tests look into it with SQL that both databases understand."""

    url: str

    @abstractmethod
    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run one statement, commit, and return its rows."""

    @abstractmethod
    def copy(self, directory: Path) -> "Database":
        """Make another one with the same content; nobody may be writing to this one."""

    @abstractmethod
    def drop(self) -> None:
        """Remove it."""


class SqliteFile(Database):
    """A file in `directory`."""

    def __init__(self, directory: Path) -> None:
        self._path = directory / "chatbot.sqlite3"
        self.url = f"sqlite:///{self._path}"

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self._path, timeout=20, isolation_level=None)) as connection:
            return connection.execute(sql).fetchall()

    def copy(self, directory: Path) -> "SqliteFile":
        self.rows("PRAGMA wal_checkpoint(TRUNCATE)")
        made = SqliteFile(directory)
        shutil.copyfile(self._path, made._path)
        return made

    def drop(self) -> None:
        """It goes with its directory."""


class PostgresqlDatabase(Database):
    """One of many in the server that `server_url` names."""

    def __init__(self, server_url: str, template: str = "template1") -> None:
        self._server_url = server_url
        self._name = f"faults_{secrets.token_hex(4)}"
        self.url = urlunsplit(urlsplit(server_url)._replace(path=f"/{self._name}"))
        self._administer(f"CREATE DATABASE {self._name} TEMPLATE {template}")

    def _administer(self, sql: str) -> None:
        with psycopg.connect(self._server_url, autocommit=True) as connection:
            connection.execute(sql.encode())

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with psycopg.connect(self.url, autocommit=True) as connection:
            found = connection.execute(sql.encode())
            return found.fetchall() if found.description else []

    def copy(self, directory: Path) -> "PostgresqlDatabase":
        return PostgresqlDatabase(self._server_url, template=self._name)

    def drop(self) -> None:
        self._administer(f"DROP DATABASE {self._name} WITH (FORCE)")


def blueprint(directory: Path) -> Database:
    """Return a new database of the kind the tests run on, with all tables and the demo shop."""
    server_url = os.environ.get("DATABASE_URL", "")
    made = PostgresqlDatabase(server_url) if server_url.startswith("postgres") else SqliteFile(directory)
    for command in (("migrate", "-v", "0"), ("demo",)):
        manage(*command, env={"CHATBOT_VAR": str(directory), "DATABASE_URL": made.url})
    return made


def manage(*words: str, env: Mapping[str, str]) -> None:
    """Run a management command; what it says is shown when it fails."""
    subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT, env={**os.environ, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=True,
    )  # fmt: skip
