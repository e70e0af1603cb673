"""How a request proves who sends it: httpx auth flows around keys, tokens and signatures."""

import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass

import httpx
import orjson

from chatbot.providers.errors import ErrorKind, of_kind
from chatbot.providers.keys import KeyRing, Secret
from chatbot.providers.tokens import Token, TokenStore, expiring

UNAUTHORIZED = 401
TOO_MANY = 429
SERVER_ERROR = 500


class KeyAuth(httpx.Auth):
    """A fixed key in a header: `Authorization: Bearer KEY`, or the bare key in another header.

    With several keys they take turns; one that is refused rests, and the request goes out once more
    with the next.
    """

    def __init__(self, keys: KeyRing, *, header: str | None = None) -> None:
        self._keys = keys
        self._header = header or "Authorization"
        self._prefix = "Bearer " if self._header.lower() == "authorization" else ""

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        key = self._keys.take()
        request.headers[self._header] = self._prefix + key.reveal()
        response = yield request
        if response.status_code == UNAUTHORIZED and self._keys.refuse(key):
            request.headers[self._header] = self._prefix + self._keys.take().reveal()
            yield request


class TokenFlow(httpx.Auth):
    """An access token in the header of each request: fetched by one caller for all, renewed ahead of
    its expiry, and once more when the service refuses it.

    A subclass says how to ask for a token and how to read the answer.
    """

    def __init__(self, service: str, tokens: TokenStore, *, clock: Callable[[], float] = time.time) -> None:
        self._service = service
        self._tokens = tokens
        self._clock = clock

    def token_request(self) -> httpx.Request:
        """Ask for a token."""
        raise NotImplementedError

    def read_token(self, response: httpx.Response) -> Token:
        """Read the answer, which has its body. Raises ProviderError when there is no token in it."""
        raise NotImplementedError

    def sign(self, request: httpx.Request, token: Secret) -> None:
        """Put the token where the service looks for it."""
        request.headers["Authorization"] = f"Bearer {token.reveal()}"

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        refused: Token | None = None
        for _ in range(2):
            token = await self._tokens.load(self._service)
            if not self._holds(token, refused):
                async with self._tokens.renewal(self._service):
                    token = await self._tokens.load(self._service)  # somebody may have been faster
                    if not self._holds(token, refused):
                        response = yield self.token_request()
                        await response.aread()
                        token = self.read_token(response)
                        await self._tokens.save(self._service, token)
            assert token is not None
            self.sign(request, token.value)
            response = yield request
            if response.status_code != UNAUTHORIZED:
                return
            refused = token

    def _holds(self, token: Token | None, refused: Token | None) -> bool:
        if token is None or not token.is_fresh(self._clock()):
            return False
        return refused is None or token.value.reveal() != refused.value.reveal()


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2Settings:
    """The client credentials grant of RFC 6749, section 4.4."""

    token_url: str = ""
    client_id: str = ""
    client_secret: Secret | None = None
    scope: str | None = None


class OAuth2(TokenFlow):
    """Client credentials, sent as a form."""

    def __init__(
        self,
        service: str,
        settings: OAuth2Settings,
        tokens: TokenStore,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        super().__init__(service, tokens, clock=clock)
        self._settings = settings

    def token_request(self) -> httpx.Request:
        secret = self._settings.client_secret
        form = {
            "grant_type": "client_credentials",
            "client_id": self._settings.client_id,
            "client_secret": secret.reveal() if secret else "",
            **({"scope": self._settings.scope} if self._settings.scope else {}),
        }
        return httpx.Request(
            "POST", self._settings.token_url, data=form, headers={"Accept": "application/json"}
        )

    def read_token(self, response: httpx.Response) -> Token:
        """`{"access_token": …, "expires_in": 3600}`; the lifetime may be missing, or a string."""
        try:
            answer = orjson.loads(response.content)
            lifetime = answer.get("expires_in")
            return expiring(
                answer["access_token"], None if lifetime is None else float(lifetime), now=self._clock()
            )
        except (AttributeError, KeyError, TypeError, ValueError):
            pass
        kind: ErrorKind = "auth"
        if response.status_code >= SERVER_ERROR or response.status_code == TOO_MANY:
            kind = "server"
        message = f"The token service of `{self._service}` gave no token (HTTP {response.status_code})."
        raise of_kind(kind, message, status=response.status_code)
