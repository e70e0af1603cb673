"""Services that know us by a fixed key, or by none."""

from collections.abc import Mapping
from dataclasses import dataclass

from chatbot.providers.auth import KeyAuth
from chatbot.providers.base import ServiceSettings
from chatbot.providers.http import HttpProvider
from chatbot.providers.keys import KeyRing, Secret
from chatbot.providers.transport import Transport
from chatbot.providers.wire import Wire


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedSettings(ServiceSettings):
    """`api_keys` are used in turn, with `api_key` if both are given."""

    api_key: Secret | None = None
    api_keys: tuple[Secret, ...] = ()

    def keys(self) -> KeyRing:
        """All keys that are given and not empty."""
        return KeyRing([*([self.api_key] if self.api_key else []), *self.api_keys])


def connect(
    name: str,
    settings: KeyedSettings,
    wire: Wire,
    *,
    key_header: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> HttpProvider:
    """A provider that sends its key in `key_header` (None: `Authorization: Bearer`), unless the row's
    `auth_header` names another, and `headers` with each request."""
    keys = settings.keys()
    header = settings.auth_header or key_header
    transport = Transport(
        name,
        auth=KeyAuth(keys, header=header, failure=wire.failure) if keys else None,
        headers={**(headers or {}), **settings.headers},
        query=settings.query,
        proxy=settings.proxy,
    )
    return HttpProvider(name, wire, transport, base_url=settings.base_url, secrets=keys.all())
