"""Whose address a request comes from, and whether a browser may open a socket from its page."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import urlsplit

from django.http.request import validate_host

from chatbot.env import Network

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# A peer without an address is on the other end of a unix socket.
LOCAL = "local"
# What is done without a request is done by a command.
COMMAND = "command"

_caller: ContextVar[str] = ContextVar("caller", default=COMMAND)


def caller() -> str:
    """Return the address from which what runs here was asked for, or COMMAND."""
    return _caller.get()


@contextmanager
def called_from(address: str) -> Iterator[None]:
    """Let `caller` be this address."""
    token = _caller.set(address)
    try:
        yield
    finally:
        _caller.reset(token)


def client_address(peer: str | None, forwarded_for: Iterable[str], *, trusted: Sequence[Network]) -> str:
    """Return the address of the client that spoke to the outermost trusted proxy.

    `forwarded_for` holds the X-Forwarded-For lines in order. They are read from the right, as each
    proxy appends whom it heard: the first address that is no trusted proxy is the client. What
    stands left of it is the client's own invention, and so is anything that is no address.
    """
    client = _address(peer) if peer else None
    if peer and (client is None or not _is_trusted(client, trusted)):
        return str(client) if client else LOCAL
    hops = [hop for line in forwarded_for for hop in line.split(",")]
    for hop in reversed(hops):
        address = _address(hop)
        if address is None:
            break
        client = address
        if not _is_trusted(address, trusted):
            break
    return str(client) if client else LOCAL


def scope_address(scope: Mapping[str, Any], *, trusted: Sequence[Network]) -> str:
    """Return the client's address of an ASGI connection."""
    peer = scope.get("client")
    lines = [value.decode("latin-1") for name, value in scope["headers"] if name == b"x-forwarded-for"]
    return client_address(peer[0] if peer else None, lines, trusted=trusted)


def limit_key(address: str) -> str:
    """Return what limits count by: the address, or its /64 for IPv6, where one client has them all."""
    parsed = _address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return address


def is_loopback(address: str) -> bool:
    """Tell whether the address is on this machine."""
    parsed = _address(address)
    return address == LOCAL or (parsed is not None and parsed.is_loopback)


def is_trusted_peer(peer: str | None, trusted: Sequence[Network]) -> bool:
    """Tell whether the other end of the connection is a proxy whose headers count."""
    if not peer:
        return True
    address = _address(peer)
    return address is not None and _is_trusted(address, trusted)


def is_known_origin(
    origin: str,
    host: str,
    *,
    public_origin: str,
    allowed_hosts: Sequence[str],
    allowed_origins: Sequence[str],
) -> bool:
    """Tell whether a page of `origin` may open a socket to us at `host` (the Host header).

    Ours are the public origin, those allowed by name, and the host that was asked for. The last one
    must be an allowed host: a foreign name that was made to point at us sends itself as both. Plain
    http is not ours once the public address is https.
    """
    origin, host = origin.strip().lower(), host.strip().lower()
    if origin in allowed_origins or (public_origin and origin == public_origin):
        return True
    try:
        parts = urlsplit(origin)
        name = parts.hostname or ""
    except ValueError:
        return False
    if parts.scheme not in ("http", "https") or (
        parts.scheme == "http" and public_origin.startswith("https")
    ):
        return False
    bracketed = f"[{name}]" if ":" in name else name
    return parts.netloc == host and validate_host(bracketed, allowed_hosts)


def _address(text: str) -> Address | None:
    """Read an address, with or without a port; IPv4 in IPv6 clothes is IPv4."""
    text = text.strip().strip('"')
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _is_trusted(address: Address, trusted: Sequence[Network]) -> bool:
    return any(address in network for network in trusted)
