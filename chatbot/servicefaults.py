"""What cannot be right in a provider row though its types are: addresses, headers, ways to sign in. Pure."""

import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any
from urllib.parse import urlsplit

from chatbot.providers.base import ServiceSettings

WEB = ("http", "https")
SCHEMES = {"spark_ws": ("ws", "wss", *WEB)}  # of `base_url`, where it is not WEB
URLS = ("token_url", "url")  # in the settings, or in what is nested in them
# What an adapter adds itself; who copies an address out of documentation copies this too.
ENDPOINT = re.compile(r"/(?:chat/completions|completions|v1/messages|api/chat|api/generate|v2/chat)$")
HEADER = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110, section 5.6.2
HEADER_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]*")
WAYS_TO_SIGN_IN = (("auth",), ("iam",), ("access_key", "secret_key"), ("api_key", "api_keys"))

Fault = tuple[str, str, str]
"""The setting of the row, the one that is wrong (it, or one within it), and how the sentence goes on."""


def faults(kind: str, settings: ServiceSettings) -> Iterator[Fault]:
    """Yield each fault of a provider of `kind`. What is not given has none."""
    if settings.base_url:
        yield from _base_url(settings.base_url, SCHEMES.get(kind, WEB))
    if settings.proxy:
        yield from _address("proxy", "proxy", settings.proxy, WEB)
    for holder, setting in _nested(settings):
        for name in URLS:
            if url := getattr(holder, name, None):
                yield from _address(setting or name, name, url, WEB)
    for name, value in settings.headers.items():
        if not HEADER.fullmatch(name):
            yield "headers", "headers", f"holds `{name}`, which is no name of a header"
        elif not HEADER_VALUE.fullmatch(value):
            yield "headers", "headers", f"holds a `{name}` with characters that no header can carry"
    if settings.auth_header and not HEADER.fullmatch(settings.auth_header):
        yield "auth_header", "auth_header", f"is `{settings.auth_header}`, which is no name of a header"
    given = [names for names in WAYS_TO_SIGN_IN if any(getattr(settings, name, None) for name in names)]
    if len(given) > 1:
        yield given[0][0], given[0][0], f"and `{given[1][0]}` are two ways to sign in; keep one"


def _base_url(url: str, schemes: tuple[str, ...]) -> Iterator[Fault]:
    found = list(_address("base_url", "base_url", url, schemes))
    yield from found
    if found:
        return
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        yield "base_url", "base_url", "must end before its `?`; what follows it belongs into `query`"
    if endpoint := ENDPOINT.search(parts.path):
        yield "base_url", "base_url", f"must end before `{endpoint[0]}`, which is added to it"


def _address(setting: str, name: str, url: str, schemes: tuple[str, ...]) -> Iterator[Fault]:
    if not url.startswith(tuple(f"{scheme}://" for scheme in schemes)):
        yield setting, name, f"must begin with {' or '.join(f'{scheme}://' for scheme in schemes[:2])}"
        return
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # of the port, or of an IPv6 address
        has_host = False
    if not has_host or not url.isprintable() or " " in url:
        yield setting, name, "is no address"


def _nested(settings: ServiceSettings) -> Iterator[tuple[Any, str]]:
    """The settings, and those within them, each with the setting of the row that it stands in."""
    yield settings, ""
    for each in fields(settings):
        value = getattr(settings, each.name)
        if is_dataclass(value):
            yield value, each.name
            for inner in fields(value):
                if is_dataclass(getattr(value, inner.name)):
                    yield getattr(value, inner.name), each.name
