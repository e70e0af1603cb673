"""One web process, asked to end in every way there is."""

import http.client
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from chatbot import listening

ROOT = Path(__file__).parent.parent.parent
LIMIT_S = 20


class Site:
    """A web process, and the socket that the test shares with it."""

    def __init__(self, *words: str, host: str = "127.0.0.1") -> None:
        self.socket = listening.listen(host, 0)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.frame.small_site", str(self.socket.fileno()), *words],
            cwd=ROOT,
            text=True,
            pass_fds=[self.socket.fileno()],
            stdout=subprocess.PIPE,
        )

    def told(self) -> str:
        """Return the next line that the process wrote."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def get(self, path: str) -> tuple[int, bytes, dict[str, str]]:
        """Ask for a page; return its status, body and headers."""
        with closing(
            http.client.HTTPConnection(*listening.reachable(self.socket), timeout=LIMIT_S)
        ) as connection:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read(), {name.lower(): value for name, value in answer.getheaders()}

    @contextmanager
    def open_socket(self) -> Iterator[ClientConnection]:
        """Hold a WebSocket that has been answered once."""
        with connect(listening.url(self.socket).replace("http", "ws"), open_timeout=LIMIT_S) as opened:
            opened.send("hello")
            assert opened.recv(LIMIT_S) == "hello"
            yield opened

    def end(self, *signals: signal.Signals) -> int:
        """Send signals and wait for the end; return the exit code."""
        for each in signals:
            self.process.send_signal(each)
        return self.process.wait(LIMIT_S)

    def close(self) -> None:
        """Leave nothing behind."""
        self.process.kill()
        self.process.wait()
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.socket.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Site]]:
    """Start web processes that are gone after the test."""
    sites: list[Site] = []

    def start_one(*words: str, host: str = "127.0.0.1") -> Site:
        sites.append(Site(*words, host=host))
        return sites[-1]

    yield start_one
    for site in sites:
        site.close()


@pytest.fixture
def site(start: Callable[..., Site]) -> Site:
    """A web process that serves."""
    site = start()
    assert site.told() == "begun"
    return site


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_ends_with_0(site: Site, asked: signal.Signals) -> None:
    assert site.get("/")[:2] == (200, b"hello")

    assert site.end(asked) == 0
    assert site.told() == "draining within 5.0"


def test_an_open_socket_is_told_to_reconnect(site: Site) -> None:
    with site.open_socket() as opened:
        site.process.send_signal(signal.SIGTERM)

        with pytest.raises(ConnectionClosed) as closed:
            opened.recv(LIMIT_S)

    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4012
    assert site.end() == 0
    assert [site.told(), site.told()] == ["draining within 5.0", "socket closed 4012"]


def test_a_request_that_runs_is_answered(site: Site) -> None:
    answers: list[bytes] = []
    asking = threading.Thread(target=lambda: answers.append(site.get("/slow")[1]))
    asking.start()
    assert site.told() == "slow began"

    assert site.end(signal.SIGTERM) == 0
    asking.join(LIMIT_S)
    assert answers == [b"hello"]


def test_connections_go_to_the_process_that_stays(start: Callable[..., Site]) -> None:
    site = start("hang")
    assert site.told() == "begun"
    with site.open_socket() as held:
        site.process.send_signal(signal.SIGTERM)
        assert site.told() == "draining for ever"
        other = subprocess.Popen(
            [sys.executable, "-m", "tests.frame.small_site", str(site.socket.fileno())],
            cwd=ROOT, pass_fds=[site.socket.fileno()], stdout=subprocess.DEVNULL,
        )  # fmt: skip

        answers = [site.get("/")[0] for _ in range(20)]  # the first waits for the other to start

        other.terminate()
        assert other.wait(LIMIT_S) == 0
        assert answers == [200] * 20
        held.send("still there")
        assert held.recv(LIMIT_S) == "still there"


def test_a_second_signal_ends_it_at_once_and_lets_it_save(start: Callable[..., Site]) -> None:
    site = start("hang")
    assert site.told() == "begun"
    with site.open_socket() as opened:
        site.process.send_signal(signal.SIGTERM)
        assert site.told() == "draining for ever"

        with pytest.raises(TimeoutError):
            opened.recv(1.1)  # what comes within a second counts as the same signal
        assert site.end(signal.SIGTERM) == 1
        assert site.told() == "socket saved"


def test_signals_of_one_moment_count_once(site: Site) -> None:
    assert site.end(signal.SIGTERM, signal.SIGTERM, signal.SIGTERM) == 0
    assert site.told() == "draining within 5.0"


def test_a_hook_that_fails_at_the_start_ends_it_with_1(start: Callable[..., Site]) -> None:
    assert start("break").end() == 1


def test_it_serves_ipv6(start: Callable[..., Site]) -> None:
    site = start(host="::1")

    assert site.get("/")[:2] == (200, b"hello")


def test_it_does_not_say_what_serves(site: Site) -> None:
    assert "server" not in site.get("/")[2]


def test_a_taken_port_is_said_in_a_sentence() -> None:
    with listening.listen("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]

        with pytest.raises(
            listening.CannotListenError, match=f"^Port {port} of 127.0.0.1 is taken .*PORT=.*"
        ):
            listening.listen("127.0.0.1", port)


@pytest.mark.parametrize(
    ("host", "port", "sentence"),
    [
        ("192.0.2.1", 0, "This machine has no address `192.0.2.1`"),
        ("no such host", 0, "This machine has no address `no such host`"),
        ("127.0.0.1", 70_000, "Cannot listen at port 70000"),
    ],
)
def test_what_cannot_be_listened_at_is_said_in_a_sentence(host: str, port: int, sentence: str) -> None:
    with pytest.raises(listening.CannotListenError, match=sentence):
        listening.listen(host, port)


def test_a_descriptor_that_does_not_listen_is_refused() -> None:
    with socket.socket() as idle, pytest.raises(listening.CannotListenError, match="does not listen"):
        listening.inherited(idle.fileno())
