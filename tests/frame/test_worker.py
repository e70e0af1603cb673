"""A real worker behind a real Redis: a turn that ends is counted, also when its message was lost."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.redis_server import RedisServer

ROOT = Path(__file__).parent.parent.parent

END_A_TURN = """if True:
    import django
    django.setup()
    import chatbot.celery
    from conversations import outbox, tasks
    from tests.frame.rows import ended_turn
    outbox.start_publishing(tasks.send)
    print(ended_turn().pk)
    outbox.stop_publishing()
"""


class Site:
    """A database file, a Redis and the environment that names both."""

    def __init__(self, directory: Path, redis_server: RedisServer) -> None:
        self.database = directory / "chatbot.sqlite3"
        self.log = directory / "worker.log"
        self.environment = {
            **os.environ,
            "CHATBOT_VAR": str(directory),
            "DATABASE_URL": "",
            "REDIS_URL": redis_server.url,
            "LOG_FORMAT": "json",
            "DJANGO_SETTINGS_MODULE": "chatbot.settings",
        }

    def run(self, *command: str) -> str:
        """Run a command to its end and return what it printed."""
        return subprocess.run(
            [sys.executable, *command],
            cwd=ROOT,
            env=self.environment,
            text=True,
            capture_output=True,
            check=True,
        ).stdout.strip()

    def start_worker(self, queue: str) -> "subprocess.Popen[str]":
        """Start a worker as `manage.py serve` does."""
        with self.log.open("w") as log:
            return subprocess.Popen(
                [sys.executable, "-m", "celery", "-A", "chatbot.celery", "worker", "-Q", queue,
                 "-P", "threads", "-c", "1", "--without-mingle", "--without-gossip", "-n", f"{queue}@test"],
                cwd=ROOT, env=self.environment, text=True, stdout=subprocess.DEVNULL, stderr=log,
            )  # fmt: skip

    def query(self, sql: str) -> list[tuple[int, ...]]:
        """Run one statement on the database and return its rows."""
        with closing(sqlite3.connect(self.database, isolation_level=None)) as database:
            return database.execute(sql).fetchall()

    def counted(self) -> int:
        """Return how many turns were counted."""
        return self.query("SELECT coalesce(sum(turns), 0) FROM conversations_hourlycounter")[0][0]

    def events(self, event: str) -> list[dict[str, object]]:
        """Return what the worker logged as `event`."""
        lines = (json.loads(line) for line in self.log.read_text().splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"] == event]


@pytest.fixture
def site(tmp_path: Path, redis_server: RedisServer) -> Iterator[Site]:
    site = Site(tmp_path, redis_server)
    site.run("manage.py", "migrate", "-v0")
    worker = site.start_worker("after")
    yield site
    worker.send_signal(signal.SIGTERM)
    worker.wait(15)


def wait_until(is_true: Callable[[], bool], within_s: float = 20) -> None:
    deadline = time.monotonic() + within_s
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_worker_counts_and_logs_each_turn_once(site: Site, redis_server: RedisServer) -> None:
    first = site.run("-c", END_A_TURN)
    wait_until(lambda: site.counted() == 1)

    # The broker goes away, the next turn ends nevertheless, and the broker is back with nothing in it.
    redis_server.stop()
    second = site.run("-c", END_A_TURN)
    redis_server.start()
    site.query(f"UPDATE conversations_outboxentry SET sent_at = '2000-01-01' WHERE key = '{second}'")
    site.run("-c", "import django; django.setup(); import chatbot.celery; "
             "from conversations import tasks; tasks.sweep_outbox.delay()")  # fmt: skip
    wait_until(lambda: site.counted() == 2)

    lines = site.events("turn logged")
    assert [line["turn_id"] for line in lines] == [first, second]
    assert "parcel" not in site.log.read_text()
