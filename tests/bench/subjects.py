"""What is measured: the anchors here, the product in `product.py`. Each is started, awaited and ended."""

import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import orjson

from tests.bench.plan import Plan, Report
from tests.bench.processes import LOAD_CORE, ROOT, SUBJECT_CORE, UPSTREAM_CORE, pinned, python, running
from tests.bench.tabs import Dialect

START_S = 60


@dataclass(frozen=True, slots=True)
class Upstream:
    """The scripted model service."""

    base_url: str
    pid: int

    def lag_p99_us(self) -> float:
        """How late its writes were since it was last asked."""
        with urllib.request.urlopen(self.base_url.removesuffix("/v1") + "/stats", timeout=10) as answer:
            return float(orjson.loads(answer.read())["lag_p99_us"])


@dataclass(frozen=True, slots=True)
class Subject:
    """A server under load, whose web process is `pid`.

    `others` are processes that work for it beside, `env` is what its management commands need.
    """

    name: str
    dialect: Dialect
    url: str
    pid: int
    others: dict[str, int] = field(default_factory=dict)
    env: dict[str, str] = field(default_factory=dict)

    @property
    def watch(self) -> dict[str, int]:
        """The processes to sample."""
        return {"web": self.pid, **self.others}


@contextmanager
def upstream() -> Iterator[Upstream]:
    """Run the scripted model service."""
    with running(*python("-m", "tests.bench.upstream"), core=UPSTREAM_CORE) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        yield Upstream(f"http://127.0.0.1:{port}/v1", process.pid)


@contextmanager
def bare(service: Upstream, log: Path) -> Iterator[Subject]:
    """Run the bare aiohttp relay."""
    port = free_port()
    command = python("-m", "tests.bench.anchors.bare", str(port), service.base_url)
    with running(*command, core=SUBJECT_CORE, log=log) as process:
        wait_until_listening(port, process, log)
        yield Subject("bare", "anchor", f"ws://127.0.0.1:{port}/ws", process.pid)


@contextmanager
def first(service: Upstream, log: Path) -> Iterator[Subject]:
    """Run the Channels consumer as one writes it first."""
    port = free_port()
    command = python("-m", "daphne", "-v", "0", "-p", str(port), "tests.bench.anchors.first:application")
    env = {"BENCH_UPSTREAM": service.base_url}
    with running(*command, core=SUBJECT_CORE, env=env, log=log) as process:
        wait_until_listening(port, process, log)
        yield Subject("first", "anchor", f"ws://127.0.0.1:{port}/ws", process.pid)


def play(plan: Plan) -> Report:
    """Let the load generator play a plan."""
    with pinned(LOAD_CORE):
        done = subprocess.run(
            python("-m", "tests.bench.load"), input=plan.dump(), stdout=subprocess.PIPE, cwd=ROOT, check=True
        )
    return Report.load(done.stdout)


def free_port() -> int:
    """Return a port nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return cast(int, probe.getsockname()[1])


def wait_until_listening(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when a connection is accepted; raises RuntimeError as `wait_for` does."""

    def is_accepted() -> bool:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            return False
        return True

    wait_for(is_accepted, process, log)


def wait_for(is_ready: Callable[[], bool], process: subprocess.Popen[bytes], log: Path) -> None:
    """Return when a process is ready; raises RuntimeError with its log's end when it is not in time."""
    give_up = time.monotonic() + START_S
    while time.monotonic() < give_up and process.poll() is None:
        if is_ready():
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} did not start:\n{log.read_text()[-2000:]}")
