"""`manage.py serve` as an operator runs it, with everything it starts."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import psutil

from tests.faults.database import Database, PostgresqlDatabase, SqliteFile

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 90.0  # for a machine that does ten other things
Found = TypeVar("Found")


def empty_database(directory: Path) -> Database:
    """Make a database without tables, of the kind the tests run on."""
    server_url = os.environ.get("DATABASE_URL", "")
    return PostgresqlDatabase(server_url) if server_url.startswith("postgres") else SqliteFile(directory)


def eventually(look: Callable[[], Found | None], what: str) -> Found:
    """Wait until `look` finds something, and return it."""
    give_up_at = time.monotonic() + PATIENCE_S
    while not (found := look()):
        assert time.monotonic() < give_up_at, f"Waited in vain for {what}."
        time.sleep(0.05)
    return found


class Served:
    """A supervisor and its children, started at once."""

    def __init__(self, var: Path, database_url: str, *words: str, **env: str) -> None:
        self.log = var.with_suffix(".log")
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "manage.py", "serve", "--port", "0", *words],
                cwd=ROOT,
                env={
                    **os.environ,
                    "CHATBOT_VAR": str(var),
                    "DATABASE_URL": database_url,
                    "REDIS_URL": "",
                    **env,
                },
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        self._seen: dict[int, psutil.Process] = {}

    @property
    def said(self) -> str:
        """What stands on the terminal so far."""
        return self.log.read_text()

    @property
    def is_running(self) -> bool:
        """Whether the supervisor is there."""
        return self.process.poll() is None

    def until_ready(self) -> "Served":
        """Wait for the words that it is."""
        eventually(lambda: "Ready." in self.said or not self.is_running, "Ready.")
        assert "Ready." in self.said, self.said
        return self

    @property
    def port(self) -> int:
        """The port that was chosen."""
        found = re.search(r"http://127\.0\.0\.1:(\d+)/\n", self.said)
        assert found is not None, self.said
        return int(found[1])

    def get(self, path: str) -> tuple[int, bytes]:
        """Ask for a page and return its status and body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    @property
    def is_whole(self) -> bool:
        """Whether the product says that database, Redis and both workers are there."""
        status, body = self.get("/readyz")
        return status == 200 and json.loads(body)["status"] == "ready"

    def running(self) -> dict[str, psutil.Process]:
        """Return what runs under it, by name: redis, web, model, worker after, worker long, beat."""
        found: dict[str, psutil.Process] = {}
        for process in psutil.Process(self.process.pid).children(recursive=True):
            try:
                command, parent = " ".join(process.cmdline()), process.ppid()
            except psutil.Error:
                continue
            self._seen[process.pid] = process
            name = _name(command)
            if name is not None:
                found["beat" if parent != self.process.pid else name] = process
        return found

    def with_all(self, *names: str) -> dict[str, psutil.Process]:
        """Wait until exactly these run, and return them."""
        return eventually(
            lambda: found if set(found := self.running()) == set(names) else None,
            f"{names}, not {set(self.running())}",
        )

    def again(self, name: str, former: psutil.Process) -> psutil.Process:
        """Wait until another process runs under this name, and return it."""

        def look() -> psutil.Process | None:
            process = self.running().get(name)
            return process if process is not None and process.pid != former.pid else None

        return eventually(look, f"another {name}")

    def end(self, asked: signal.Signals) -> int:
        """Send a signal; return the exit code when it has ended."""
        self.running()
        self.process.send_signal(asked)
        return self.wait()

    def wait(self, limit_s: float = PATIENCE_S) -> int:
        """Wait for its end and return the exit code. Raises TimeoutError when it goes on."""
        try:
            return self.process.wait(limit_s)
        except subprocess.TimeoutExpired as error:
            raise TimeoutError from error

    def left_over(self) -> list[psutil.Process]:
        """Return what it started and is still there."""
        return [process for process in self._seen.values() if _is_there(process)]

    def close(self) -> None:
        """Leave nothing behind, whatever the test has shown."""
        self.process.kill()
        self.process.wait()
        for process in self.left_over():
            process.kill()


def _name(command: str) -> str | None:
    names = {
        "redis-server": "redis", "manage.py web": "web", "chatbot.localmodel": "model",
        "--queues after": "worker after", "--queues long": "worker long",
    }  # fmt: skip
    return next((name for words, name in names.items() if words in command), None)


def _is_there(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
