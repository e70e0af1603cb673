"""How a request proves who sends it: httpx auth flows around keys, tokens and signatures."""

import base64
import hashlib
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import quote_plus

import httpx
import orjson

from chatbot.providers.bodies import STRANGE
from chatbot.providers.errors import ErrorKind, ProviderError, of_kind
from chatbot.providers.keys import KeyRing, Secret
from chatbot.providers.tokens import Token, TokenStore, expiring

CLIENT_ERROR, UNAUTHORIZED, TOO_MANY, SERVER_ERROR = 400, 401, 429, 500
KEY = "chatbot.key"  # the extension of a request that says which key to use
ACCEPTS = {"Accept": "application/json"}
BAIDU_REFUSALS = (110, 111)  # of a token: invalid, expired
IAM_RENEW_AHEAD_S = 600.0  # of the 24 hours that Huawei's tokens live


Failure = Callable[[int, Mapping[str, str], bytes], ProviderError]
"""Reads the answer to a request that failed: its status, headers and body."""

REFUSALS: tuple[ErrorKind, ...] = ("auth", "quota")  # of a key; with another one the request may pass


class KeyAuth(httpx.Auth):
    """A fixed key in a header: `Authorization: Bearer KEY`, or the bare key in another header.

    With several keys they take turns; one that is refused rests, and the request goes out again with the
    next. `failure` reads an answer that failed: not every service says 401 to a bad key, and one whose
    money is spent is of no more use. Without it only a 401 is a refusal.
    """

    def __init__(self, keys: KeyRing, *, header: str | None = None, failure: Failure | None = None) -> None:
        self.keys = keys
        self._header = header or "Authorization"
        self._prefix = "Bearer " if self._header.lower() == "authorization" else ""
        self._failure = failure

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        key: Secret = request.extensions.get(KEY) or self.keys.take()
        for _ in range(1 + len(self.keys.all())):  # a key may have been changed meanwhile, and is new
            value = key.reveal()
            request.headers[self._header] = self._prefix + value
            response = yield request
            if not await self._is_refusal(response) or not self.keys.refuse(key, value):
                return
            key = self.keys.take()

    async def _is_refusal(self, response: httpx.Response) -> bool:
        status = response.status_code
        if status == UNAUTHORIZED:
            return True
        if status < CLIENT_ERROR or self._failure is None or len(self.keys.all()) < 2:
            return False
        body = await response.aread()
        with suppress(*STRANGE):
            return self._failure(status, response.headers, body).kind in REFUSALS
        return False


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A request without its signature, else exactly as it is sent: `path` and `query` are encoded, the
    names of `headers` in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes


Sign = Callable[[Unsigned, float], Mapping[str, str]]
"""A vendor's signature: the headers to add to a request that is sent at this Unix time."""


class SignedAuth(httpx.Auth):
    """A signature over each request, made anew whenever it is sent."""

    def __init__(self, sign: Sign, *, clock: Callable[[], float] = time.time) -> None:
        self._sign = sign
        self._clock = clock

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        path, _, query = request.url.raw_path.decode("ascii").partition("?")
        unsigned = Unsigned(request.method, path, query, request.headers, request.content)
        request.headers.update(self._sign(unsigned, self._clock()))
        yield request


class TokenFlow(httpx.Auth, ABC):
    """An access token in the header of each request: fetched by one caller for all, renewed ahead of
    its expiry, and once more when the service refuses it. `in_use` is the token sent last, `name` that
    under which it is kept: of the provider row and of the `account` it belongs to, so that nobody goes on
    with the token of another account after a change of config.yaml.

    A subclass says how to ask for a token and how to read the answer.
    """

    def __init__(
        self,
        service: str,
        tokens: TokenStore,
        *,
        account: Sequence[str | None],
        clock: Callable[[], float] = time.time,
    ) -> None:
        digest = hashlib.blake2s(orjson.dumps(account), digest_size=6).hexdigest()
        self.name = f"{service}:{digest}"
        self._service = service
        self._tokens = tokens
        self._clock = clock
        self.in_use: Secret | None = None

    @abstractmethod
    def token_request(self) -> httpx.Request:
        """Ask for a token."""

    @abstractmethod
    def read_token(self, response: httpx.Response) -> Token:
        """Read the answer, which has its body. Raises ProviderError when there is no token in it."""

    def sign(self, request: httpx.Request, token: Secret) -> None:
        """Put the token where the service looks for it."""
        request.headers["Authorization"] = f"Bearer {token.reveal()}"

    async def is_refusal(self, response: httpx.Response) -> bool:
        """Whether the service does not take the token. May read the body, but never a stream's."""
        return response.status_code == UNAUTHORIZED

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        refused: Token | None = None
        for _ in range(2):
            token = await self._tokens.load(self.name)
            if not self._holds(token, refused):
                async with self._tokens.renewal(self.name):
                    token = await self._tokens.load(self.name)  # somebody may have been faster
                    if not self._holds(token, refused):
                        response = yield self.token_request()
                        await response.aread()
                        token = self.read_token(response)
                        await self._tokens.save(self.name, token)
            assert token is not None
            self.in_use = token.value
            self.sign(request, token.value)
            response = yield request
            if refused or not await self.is_refusal(response):
                return
            refused = token

    async def forget(self) -> None:
        """Have the token in use renewed before the next request."""
        kept = await self._tokens.load(self.name)
        if kept and self.in_use and kept.value.reveal() == self.in_use.reveal():
            await self._tokens.save(self.name, Token(kept.value, expires_at=0.0))

    def _holds(self, token: Token | None, refused: Token | None) -> bool:
        if token is None or not token.is_fresh(self._clock()):
            return False
        return refused is None or token.value.reveal() != refused.value.reveal()

    def none(self, response: httpx.Response, reason: str = "") -> ProviderError:
        """The error of a token service that gave none. `reason` is its own, a sentence."""
        status = response.status_code
        kind: ErrorKind = "server" if status >= SERVER_ERROR or status == TOO_MANY else "auth"
        message = f"The token service of `{self._service}` gave no token (HTTP {status}). {reason}"
        return of_kind(kind, message.rstrip(), status=status)


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth2Settings:
    """The client credentials grant of RFC 6749, section 4.4. `client_auth` says where the credentials go:
    into the form, or into a header by HTTP Basic."""

    token_url: str = ""
    client_id: str = ""
    client_secret: Secret | None = None
    scope: str | None = None
    client_auth: Literal["form", "basic"] = "form"


class OAuth2(TokenFlow):
    """Client credentials as the standard has them."""

    def __init__(
        self,
        service: str,
        settings: OAuth2Settings,
        tokens: TokenStore,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        account = (settings.token_url, settings.client_id, settings.scope)
        super().__init__(service, tokens, account=account, clock=clock)
        self._settings = settings

    def token_request(self) -> httpx.Request:
        form, headers = self.credentials(), dict(ACCEPTS)
        if self._settings.client_auth == "basic":
            pair = ":".join(quote_plus(form.pop(name)) for name in ("client_id", "client_secret"))
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        return httpx.Request("POST", self._settings.token_url, data=form, headers=headers)

    def credentials(self) -> dict[str, str]:
        """Who we are, as the standard names it."""
        secret = self._settings.client_secret
        return {
            "grant_type": "client_credentials",
            "client_id": self._settings.client_id,
            "client_secret": secret.reveal() if secret else "",
            **({"scope": self._settings.scope} if self._settings.scope else {}),
        }

    def read_token(self, response: httpx.Response) -> Token:
        """`{"access_token": …, "expires_in": 3600}`; the lifetime may be missing, or a string."""
        value, lifetime = (_value(response.content, name) for name in ("access_token", "expires_in"))
        if not isinstance(value, str) or not value:
            reason = _value(response.content, "error_description") or _value(response.content, "error")
            raise self.none(response, str(reason or ""))
        try:
            lifetime_s = None if lifetime is None else float(str(lifetime))
        except ValueError:
            lifetime_s = None  # it is renewed when it is refused
        return expiring(value, lifetime_s, now=self._clock())


class BaiduToken(OAuth2):
    """Client credentials in the query, as Baidu wants them, and the token in the query of each call.

    A refusal has status 200: `{"error_code": 111, "error_msg": "Access token expired"}`. See
    https://cloud.baidu.com/doc/WENXINWORKSHOP/s/Ilkkrb0i5 (read 2026-11-20) and qianfan 0.4.12.3.
    """

    def token_request(self) -> httpx.Request:
        url = httpx.URL(self._settings.token_url).copy_merge_params(self.credentials())
        return httpx.Request("POST", url, json={}, headers=ACCEPTS)

    def sign(self, request: httpx.Request, token: Secret) -> None:
        request.url = request.url.copy_set_param("access_token", token.reveal())

    async def is_refusal(self, response: httpx.Response) -> bool:
        if await super().is_refusal(response):
            return True
        if not response.headers.get("content-type", "").startswith("application/json"):
            return False  # a stream
        return _value(await response.aread(), "error_code") in BAIDU_REFUSALS


@dataclass(frozen=True, slots=True, kw_only=True)
class IamSettings:
    """A user of Huawei's identity service: `account` is the name of the account it belongs to (its
    domain), `project` the name of the project, which is the region's. `url` empty: the region's own.
    """

    url: str = ""
    account: str = ""
    user: str = ""
    password: Secret | None = None
    project: str = "cn-southwest-2"


class IamToken(TokenFlow):
    """Huawei's tokens, which live for a day and come in a response header.

    POST {url}/v3/auth/tokens -> 201, `X-Subject-Token: MII…`, `{"token": {"expires_at": …}}`. See
    https://support.huaweicloud.com/api-iam/iam_30_0001.html (read 2026-11-20), as huaweicloudsdkiam
    3.1.219 asks. A token that the API gateway refuses is an error 401, or has the code APIG.0301.
    """

    def __init__(
        self,
        service: str,
        settings: IamSettings,
        tokens: TokenStore,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        account = (settings.url, settings.account, settings.user, settings.project)
        super().__init__(service, tokens, account=account, clock=clock)
        self._settings = settings

    def token_request(self) -> httpx.Request:
        iam = self._settings
        url = httpx.URL(iam.url or f"https://iam.{iam.project}.myhuaweicloud.com")
        if url.path == "/":
            url = url.copy_with(path="/v3/auth/tokens")
        user = {
            "domain": {"name": iam.account},
            "name": iam.user,
            "password": iam.password.reveal() if iam.password else "",
        }
        identity = {"methods": ["password"], "password": {"user": user}}
        body = {"auth": {"identity": identity, "scope": {"project": {"name": iam.project}}}}
        headers = {**ACCEPTS, "Content-Type": "application/json;charset=utf-8"}
        return httpx.Request("POST", url, content=orjson.dumps(body), headers=headers)

    def read_token(self, response: httpx.Response) -> Token:
        """Read the header. The lifetime is from the service's own clock, which need not be ours."""
        value = response.headers.get("X-Subject-Token")
        if not value:
            error = _value(response.content, "error")
            reason = (
                error.get("message") if isinstance(error, dict) else _value(response.content, "error_msg")
            )
            raise self.none(response, str(reason or ""))
        lifetime_s = None
        try:
            token = orjson.loads(response.content)["token"]
            began_at = token.get("issued_at")
            began = datetime.fromisoformat(began_at).timestamp() if began_at else self._clock()
            lifetime_s = datetime.fromisoformat(token["expires_at"]).timestamp() - began
        except (AttributeError, KeyError, TypeError, ValueError):
            pass  # a token all the same: it is renewed when it is refused
        return expiring(value, lifetime_s, now=self._clock(), ahead_s=IAM_RENEW_AHEAD_S)

    def sign(self, request: httpx.Request, token: Secret) -> None:
        request.headers["X-Auth-Token"] = token.reveal()

    async def is_refusal(self, response: httpx.Response) -> bool:
        if response.status_code < CLIENT_ERROR:
            return False
        if await super().is_refusal(response):
            return True
        return _value(await response.aread(), "error_code") == "APIG.0301"


def _value(body: bytes, name: str) -> object:
    """A value of the JSON object in `body`, None if there is none."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    return answer.get(name) if isinstance(answer, dict) else None
