"""The whole product under its supervisor: started, broken, stopped and killed for real."""

import re
import signal
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from chatbot import listening
from tests.frame.site import Served, empty_database, eventually
from tests.redis_server import RedisServer

pytestmark = pytest.mark.database

EVERYTHING = ("redis", "web", "model", "worker after", "worker long", "beat")
LOGIN = r"Staff login: \S+ / \S+ \(printed this once\)"
Serve = Callable[..., Served]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Serve]:
    """Start supervisors over one database; nothing of them is left after the test."""
    database = empty_database(tmp_path)
    started: list[Served] = []

    def start(*words: str, **env: str) -> Served:
        started.append(Served(tmp_path / f"var{len(started)}", database.url, *words, **env))
        return started[-1]

    yield start
    for served in started:
        served.close()
    database.drop()


def test_it_starts_everything_starts_again_what_dies_and_leaves_nothing(serve: Serve, tmp_path: Path) -> None:
    served = serve().until_ready()

    assert re.search(LOGIN, served.said)
    assert "SmolLM2" in served.said
    assert served.get("/")[0] == 200
    assert stat.S_IMODE((tmp_path / "var0").stat().st_mode) == 0o700

    running = served.with_all(*EVERYTHING)
    for name in ("web", "redis", "worker after", "model"):
        running[name].send_signal(signal.SIGKILL)
        served.again(name, running[name])
    assert served.get("/")[0] == 200
    eventually(lambda: served.is_whole, "Redis and the workers at the addresses they had")
    assert re.search(r"process ended .*process=redis how=\"was ended by SIGKILL\"", served.said)
    served.with_all(*EVERYTHING)

    assert served.end(signal.SIGINT) == 0
    assert served.left_over() == []
    assert "Traceback" not in served.said


def test_the_staff_login_is_told_once(serve: Serve) -> None:
    assert re.search(LOGIN, serve(OPENAI_API_KEY="key").until_ready().said)

    assert not re.search(LOGIN, serve(OPENAI_API_KEY="key").until_ready().said)


def test_what_is_there_already_is_not_started(serve: Serve) -> None:
    redis_server = RedisServer()
    served = serve("--workers", "2", OPENAI_API_KEY="key", REDIS_URL=redis_server.url).until_ready()

    served.with_all("web", "worker after", "worker long", "beat")
    assert "SmolLM2" not in served.said
    eventually(lambda: served.is_whole, "both workers")
    assert served.end(signal.SIGTERM) == 0
    assert served.left_over() == []
    redis_server.close()


def test_it_goes_on_without_a_local_model_that_does_not_run_here(serve: Serve, tmp_path: Path) -> None:
    (tmp_path / "xllamacpp.py").write_text("raise ImportError('There is no build for this platform.')")

    served = serve(PYTHONPATH=str(tmp_path)).until_ready()

    served.with_all("redis", "web", "worker after", "worker long", "beat")
    assert "The local model ended with 1 before it answered. Going on without it." in served.said
    assert "OPENAI_API_KEY" in served.said
    assert "SmolLM2" not in served.said


def test_a_killed_supervisor_takes_everything_with_it(serve: Serve) -> None:
    served = serve().until_ready()
    served.with_all(*EVERYTHING)
    port = served.port

    served.end(signal.SIGKILL)

    eventually(lambda: not served.left_over(), "the end of all children")
    listening.listen("127.0.0.1", port).close()


def test_a_second_ctrl_c_kills_what_does_not_end(serve: Serve) -> None:
    served = serve(OPENAI_API_KEY="key").until_ready()
    web = served.with_all("redis", "web", "worker after", "worker long", "beat")["web"]
    web.suspend()

    served.process.send_signal(signal.SIGINT)
    eventually(lambda: "again after 3 s kills" in served.said, "the announcement")
    served.process.send_signal(signal.SIGINT)  # too early to be meant
    with pytest.raises(TimeoutError):
        served.wait(3.1)  # idle until a second one is meant

    assert served.end(signal.SIGINT) == 1
    assert served.left_over() == []


def test_ctrl_c_while_it_starts_ends_it(serve: Serve) -> None:
    served = serve()
    eventually(lambda: "web" in served.running() or not served.is_running, "a web process")

    assert served.end(signal.SIGINT) == 0
    assert served.left_over() == []


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ("routes: {default: [nobody]}", "nobody"),
        ("", "config.yaml"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_said(
    serve: Serve, tmp_path: Path, config: str, sentence: str
) -> None:
    (tmp_path / "config.yaml").write_text(config)

    served = serve(CHATBOT_CONFIG=str(tmp_path / "config.yaml"))

    assert served.wait() == 1
    assert sentence in served.said
    assert "Traceback" not in served.said


def test_a_taken_port_is_said_before_anything_starts(serve: Serve) -> None:
    with listening.listen("127.0.0.1", 0) as taken:
        served = serve("--port", str(taken.getsockname()[1]))

        assert served.wait() == 1
    assert served.said.startswith("Port ")
    assert served.said.count("\n") == 1


def test_a_database_that_is_away_is_said(serve: Serve) -> None:
    served = serve(DATABASE_URL="postgres://nobody@127.0.0.1:9/none")

    assert served.wait() == 1
    assert "The database cannot be used" in served.said
    assert "Traceback" not in served.said
