"""The socket that the web processes share: whoever starts them opens it, and they inherit it."""

import errno
import socket

BACKLOG = 1024  # connections that may wait while all web processes restart
MAX_PORT = 65535


class CannotListenError(Exception):
    """The address cannot be listened at; the message is a sentence for the terminal."""


def listen(host: str, port: int) -> socket.socket:
    """Listen at `host` (a name or an address of either family). Port 0 chooses a free one."""
    listening = None
    try:
        if not 0 <= port <= MAX_PORT:
            raise OverflowError("ports end at 65535")
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listening = socket.socket(family, socket.SOCK_STREAM)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(BACKLOG)
        listening.setblocking(
            False
        )  # or a process that finds a connection taken by another waits for the next
    except (OSError, OverflowError) as error:
        if listening is not None:
            listening.close()
        raise CannotListenError(_sentence(host, port, error)) from error
    return listening


def inherited(fd: int) -> socket.socket:
    """Take over a listening socket that our parent has opened as `fd`."""
    try:
        listening = socket.socket(fileno=fd)
    except OSError as error:
        raise CannotListenError(f"File descriptor {fd} is no socket.") from error
    if not listening.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        listening.detach()
        raise CannotListenError(f"File descriptor {fd} is a socket that does not listen.")
    listening.setblocking(False)
    return listening


def reachable(listening: socket.socket) -> tuple[str, int]:
    """Return the host and port under which this machine itself reaches the socket."""
    host, port = listening.getsockname()[:2]
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104 (compared, not bound)


def url(listening: socket.socket) -> str:
    """Return the address to open in a browser of this machine."""
    host, port = reachable(listening)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _sentence(host: str, port: int, error: OSError | OverflowError) -> str:
    match getattr(error, "errno", None):
        case errno.EADDRINUSE:
            return f"Port {port} of {host} is taken by another program; choose one with `--port` or `PORT=`."
        case errno.EACCES:
            return f"Port {port} is reserved for the system; choose one above 1023 with `--port` or `PORT=`."
        case errno.EADDRNOTAVAIL | socket.EAI_NONAME:
            return f"This machine has no address `{host}`; choose another one with `--host`."
        case _:
            return f"Cannot listen at port {port} of {host} ({error}); choose another one."
