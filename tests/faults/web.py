"""Web processes that can be killed at any moment, and the sockets they listen on."""

import asyncio
import http.client
import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import psutil

from chatbot import children, listening
from tests.faults.waiting import PATIENCE_S, eventually

_MOST_CHARS = 700  # of a log line at either end


class Address:
    """A listening socket. The test holds it open, so whoever connects waits for the next process."""

    def __init__(self) -> None:
        self.socket = listening.listen("127.0.0.1", 0)
        self.port: int = self.socket.getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}/ws/chat/"

    def endpoint(self, *, receive_buffer_bytes: int | None = None) -> socket.socket:
        """Connect to it; the kernel answers at once."""
        endpoint = socket.socket()
        if receive_buffer_bytes is not None:
            endpoint.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        endpoint.connect(("127.0.0.1", self.port))
        return endpoint


class WebProcess:
    """One `manage.py web`, started at once; it need not be waited for."""

    def __init__(self, address: Address, log: Path, env: dict[str, str]) -> None:
        self.address = address
        self.log = log
        self._was_killed = False
        fd = address.socket.fileno()
        with log.open("wb") as out:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "web", "--fd", str(fd)],
                **children.options(env, pass_fds=[fd]),
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def kill(self) -> None:
        """End it as a power cut would."""
        self._was_killed = True
        self._process.kill()
        self._process.wait()

    def terminate(self) -> None:
        """Ask it to drain."""
        self._process.terminate()

    def freeze(self) -> None:
        """Stop the clock for it."""
        self._process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        self._process.send_signal(signal.SIGCONT)

    @property
    def has_ended(self) -> bool:
        """Whether it is gone."""
        return self._process.poll() is not None

    async def ended(self) -> int:
        """Wait for its end and return its exit code."""
        await eventually(lambda: self.has_ended)
        return self._process.returncode

    @property
    def resident_bytes(self) -> int:
        """The memory it holds now."""
        return int(psutil.Process(self._process.pid).memory_info().rss)

    def complaints(self, expected: set[str]) -> list[str]:
        """Return the lines of its log, whose least level is WARNING, but for the expected events."""
        *lines, last = self.log.read_bytes().decode(errors="replace").split("\n")
        if last and not self._was_killed:
            lines.append(last)
        return [_shortened(line) for line in lines if _event(line) not in expected]


def _event(line: str) -> str | None:
    try:
        return str(json.loads(line)["event"])
    except (ValueError, KeyError, TypeError):
        return None


def _shortened(line: str) -> str:
    """Leave the end of a traceback."""
    return line if len(line) < 2 * _MOST_CHARS else f"{line[:_MOST_CHARS]} … {line[-_MOST_CHARS:]}"


class KeptConnection:
    """An HTTP connection that stays open from one request to the next."""

    def __init__(self, address: Address) -> None:
        self._http = http.client.HTTPConnection("127.0.0.1", address.port, timeout=PATIENCE_S)

    async def status(self, path: str) -> int:
        """GET a path and return the status."""
        return await asyncio.to_thread(self._get, path)

    def _get(self, path: str) -> int:
        self._http.request("GET", path)
        with self._http.getresponse() as answer:
            answer.read()
            return answer.status

    def close(self) -> None:
        """Hang up."""
        self._http.close()
