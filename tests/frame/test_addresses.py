"""Whose address counts, and whose page may open a socket."""

import ipaddress
from typing import Any

import pytest

from chatbot.addresses import client_address, is_known_origin, is_loopback, limit_key, scope_address

PROXIES = [ipaddress.ip_network("127.0.0.1"), ipaddress.ip_network("10.0.0.0/8")]


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "client"),
    [
        # Nobody's word but the connection's, when the peer is no proxy of ours.
        ("203.0.113.7", [], "203.0.113.7"),
        ("203.0.113.7", ["198.51.100.1"], "203.0.113.7"),
        # Through one proxy, through two, and what the client itself put in front.
        ("127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["198.51.100.1, 10.2.3.4"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6, 198.51.100.1, 10.2.3.4"], "198.51.100.1"),
        ("127.0.0.1", ["6.6.6.6", "198.51.100.1"], "198.51.100.1"),
        # Spelled with ports, brackets, zones, and as IPv4 in IPv6.
        ("127.0.0.1", ["198.51.100.1:4711"], "198.51.100.1"),
        ("127.0.0.1", ["[2001:db8::1]:4711"], "2001:db8::1"),
        ("127.0.0.1", ["2001:db8::1%eth0"], "2001:db8::1"),
        ("::ffff:127.0.0.1", ["198.51.100.1"], "198.51.100.1"),
        ("::ffff:203.0.113.7", [], "203.0.113.7"),
        # What is no address ends the chain; then the last proxy that spoke is all we know.
        ("127.0.0.1", ["unknown"], "127.0.0.1"),
        ("127.0.0.1", ["198.51.100.1, unknown, 10.2.3.4"], "10.2.3.4"),
        ("127.0.0.1", ["", " , "], "127.0.0.1"),
        ("127.0.0.1", ["10.1.1.1, 10.2.3.4"], "10.1.1.1"),
        # The other end of a unix socket is a proxy on this machine.
        (None, ["198.51.100.1"], "198.51.100.1"),
        ("", [], "local"),
        ("testclient", ["198.51.100.1"], "local"),
    ],
)
def test_the_client_is_whom_the_outermost_proxy_heard(
    peer: str | None, forwarded_for: list[str], client: str
) -> None:
    assert client_address(peer, forwarded_for, trusted=PROXIES) == client


def test_a_socket_has_the_same_client_as_a_page() -> None:
    scope: dict[str, Any] = {
        "client": ["127.0.0.1", 4711],
        "headers": [(b"x-forwarded-for", b"6.6.6.6"), (b"x-forwarded-for", b"198.51.100.1")],
    }

    assert scope_address(scope, trusted=PROXIES) == "198.51.100.1"
    assert scope_address({"client": None, "headers": []}, trusted=PROXIES) == "local"


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::1", "2001:db8:1:2::/64"),
        ("local", "local"),
    ],
)
def test_limits_count_by_address_or_by_64(address: str, key: str) -> None:
    assert limit_key(address) == key


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("::1", True), ("local", True), ("10.0.0.1", False), ("x", False)],
)
def test_loopback_is_this_machine(address: str, expected: bool) -> None:
    assert is_loopback(address) is expected


@pytest.mark.parametrize(
    ("origin", "host", "public_origin", "is_known"),
    [
        ("http://localhost:8000", "localhost:8000", "", True),
        ("https://localhost:8000", "localhost:8000", "", True),  # TLS ended in a proxy
        ("HTTP://LocalHost:8000", "localhost:8000", "", True),
        ("http://[::1]:8000", "[::1]:8000", "", True),
        ("https://chat.example", "internal:8000", "https://chat.example", True),
        ("https://widget.example", "chat.example", "https://chat.example", True),
        ("http://chat.example", "chat.example", "https://chat.example", False),  # in the clear
        ("http://localhost:9000", "localhost:8000", "", False),
        ("http://evil.example", "localhost:8000", "", False),
        ("http://evil.example:8000", "evil.example:8000", "", False),  # a name made to point at us
        ("https://chat.example.evil.example", "chat.example", "https://chat.example", False),
        ("https://chat.example@evil.example", "chat.example", "https://chat.example", False),
        ("null", "localhost:8000", "", False),
        ("", "localhost:8000", "", False),
        ("", "", "", False),
        ("file://", "", "", False),
        ("http://[", "[", "", False),
        ("chrome-extension://abc", "localhost:8000", "", False),
    ],
)
def test_only_our_own_pages_open_sockets(origin: str, host: str, public_origin: str, is_known: bool) -> None:
    found = is_known_origin(
        origin,
        host,
        public_origin=public_origin,
        allowed_hosts=["localhost", "127.0.0.1", "[::1]", "chat.example"],
        allowed_origins=["https://widget.example"],
    )

    assert found is is_known
