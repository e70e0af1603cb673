"""Numbers are added up over processes, live ones and gone ones."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from pytest_django import Settings

from chatbot import metrics

ROOT = Path(__file__).parent.parent.parent

COUNT = """if True:
    import sys
    from chatbot import metrics
    metrics.TURNS.labels("completed").inc(3)
    metrics.SOCKETS.inc(5)
    metrics.FIRST_DELTA.observe(0.3)
    print("counted", flush=True)
    sys.stdin.readline()
"""
COUNT_NOTHING = "from chatbot import metrics; print('started', flush=True)"


@pytest.fixture
def directory(settings: Settings, tmp_path: Path) -> Path:
    """An empty VAR_DIR; its processes count into METRICS_DIR below it."""
    settings.METRICS_DIR = tmp_path / "metrics" / os.uname().nodename
    settings.METRICS_DIR.mkdir(parents=True)
    return tmp_path


def start(directory: Path, code: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "CHATBOT_VAR": str(directory), "DJANGO_SETTINGS_MODULE": "chatbot.settings"}
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    assert process.stdout.readline()
    return process


def value(name: str) -> float | None:
    found = re.search(rf"^{re.escape(name)} (\S+)$", metrics.exposition().decode(), re.MULTILINE)
    return float(found[1]) if found else None


def test_any_process_tells_the_numbers_of_all(directory: Path) -> None:
    processes = [start(directory, COUNT) for _ in range(2)]

    assert value('chatbot_turns_total{status="completed"}') == 6
    assert value('chatbot_turns_total{status="failed"}') == 0
    assert value("chatbot_sockets") == 10
    assert value('chatbot_first_delta_seconds_bucket{le="0.5"}') == 2
    for process in processes:
        process.communicate("\n", timeout=10)


def test_what_a_gone_process_counted_stays_but_its_sockets_are_closed(directory: Path) -> None:
    staying, going = [start(directory, COUNT) for _ in range(2)]
    going.kill()
    going.communicate(timeout=10)

    assert value('chatbot_turns_total{status="completed"}') == 6
    assert value("chatbot_sockets") == 5
    staying.communicate("\n", timeout=10)


def test_processes_that_counted_nothing_leave_nothing(directory: Path, settings: Settings) -> None:
    start(directory, COUNT_NOTHING).communicate(timeout=10)
    assert list(settings.METRICS_DIR.iterdir())

    metrics.exposition()

    assert list(settings.METRICS_DIR.iterdir()) == []


def test_a_fresh_start_forgets_all(directory: Path) -> None:
    start(directory, COUNT).communicate("\n", timeout=10)
    assert value('chatbot_turns_total{status="completed"}') == 3

    metrics.start_afresh()

    assert value('chatbot_turns_total{status="completed"}') is None


def test_counting_costs_microseconds() -> None:
    began = time.process_time()
    for _ in range(10_000):
        metrics.DELTAS.inc()

    assert time.process_time() - began < 0.5  # 50 µs each; measured: 2


def test_nobody_imports_the_package_before_it_knows_where_to_count() -> None:
    root = Path(metrics.__file__).parent.parent
    found = [file for folder in ("chatbot", "conversations") for file in (root / folder).rglob("*.py")]

    importing = [file.name for file in found if "from prometheus_client" in file.read_text("utf-8")]

    assert importing == ["metrics.py"]
