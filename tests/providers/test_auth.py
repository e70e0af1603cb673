"""Signing in with tokens: one fetch for all, renewed in time, and once after a refusal."""

import asyncio
import base64
import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest

from chatbot import config
from chatbot.providers.auth import OAuth2, OAuth2Settings
from chatbot.providers.http import HttpProvider
from chatbot.providers.keys import Secret
from chatbot.providers.openai import ChatWire, OpenAISettings
from chatbot.providers.tokens import ProcessTokens, Token, expiring
from chatbot.providers.transport import Transport
from tests.providers.asking import WIRE, ask
from tests.providers.loopback import Loopback, Reply, json_reply
from tests.providers.wires import SAMPLES

HELLO = Reply(pieces=[SAMPLES["openai"].delta("Hi"), SAMPLES["openai"].end])
REFUSED = json_reply(401, {"error": {"message": "token expired"}})


def grants(token: str, **more: object) -> Reply:
    return json_reply(200, {"access_token": token, "token_type": "bearer", **more})


class Customer:
    """A provider behind client credentials, with a clock and a token store to look at."""

    def __init__(self, service: Loopback, tokens: ProcessTokens | None = None) -> None:
        self.service = service
        self.now = 1000.0
        self.tokens = tokens or ProcessTokens()
        settings = OAuth2Settings(
            token_url=f"{service.url}/token", client_id="shop", client_secret=Secret("s3cret"), scope="chat"
        )
        self.auth = OAuth2("gateway", settings, self.tokens, clock=lambda: self.now)
        wire, transport = ChatWire(OpenAISettings()), Transport("gateway", auth=self.auth)
        secrets = [Secret("s3cret")]
        self.provider = HttpProvider(
            "gateway", wire, transport, base_url=f"{service.url}/v1", secrets=secrets
        )

    async def asks(self) -> Any:
        return await ask(self.provider)

    @property
    def calls(self) -> list[str]:
        """What reached the service: `token`, or the token a call carried."""
        return [
            "token" if request.path == "/token" else request.headers["authorization"].removeprefix("Bearer ")
            for request in self.service.requests
        ]


@pytest.fixture
async def customer(service: Loopback) -> Any:
    made = Customer(service)
    yield made
    await made.provider.aclose()


async def test_a_token_is_asked_for_as_the_standard_says_and_used_again(
    customer: Customer, service: Loopback
) -> None:
    service.answers(grants("tok-1", expires_in=3600), HELLO)

    answers = [await customer.asks(), await customer.asks()]

    assert [answer.text for answer in answers] == ["Hi", "Hi"]
    assert customer.calls == ["token", "tok-1", "tok-1"]
    request = service.requests[0]
    assert request.headers["content-type"] == "application/x-www-form-urlencoded"
    assert parse_qs(request.body.decode()) == {
        "grant_type": ["client_credentials"],
        "client_id": ["shop"],
        "client_secret": ["s3cret"],
        "scope": ["chat"],
    }


@pytest.mark.parametrize(
    "vector",
    json.loads((WIRE / "qianfan" / "oauth2.json").read_text("utf-8"))["generic"],
    ids=lambda one: one["by"],
)
async def test_a_token_exchange_goes_as_the_standard_shows_it(vector: Any, service: Loopback) -> None:
    settings = OAuth2Settings(
        token_url=f"{service.url}/token", client_id="id-1", client_secret=Secret("s&cret+1")
    )
    tokens = ProcessTokens()
    auth = OAuth2("gateway", settings, tokens, clock=lambda: 0.0)
    provider = HttpProvider(
        "gateway", ChatWire(OpenAISettings()), Transport("gateway", auth=auth), base_url=service.url
    )
    service.answers(json_reply(vector["response"]["status"], vector["response"]["body"]), HELLO)

    answer = await ask(provider)
    await provider.aclose()

    expect, request = vector["expect"], service.requests[0]
    if wanted := vector.get("request"):
        assert (request.method, request.headers["content-type"]) == (wanted["method"], wanted["content_type"])
        assert request.body.decode() == wanted["body"]
    if "token" in expect:
        token = await tokens.load(auth.name)
        assert token is not None
        assert (token.value.reveal(), token.expires_at) == (expect["token"], expect["expires_in"] - 60)
    else:
        assert answer.error is not None
        assert (answer.error.kind, answer.error.retryable) == (expect["error"], expect["retryable"])


async def test_credentials_may_go_into_a_header(service: Loopback) -> None:
    settings = OAuth2Settings(
        token_url=f"{service.url}/token",
        client_id="id 1",
        client_secret=Secret("s&cret"),
        client_auth="basic",
    )
    auth = OAuth2("gateway", settings, ProcessTokens())
    provider = HttpProvider(
        "gateway", ChatWire(OpenAISettings()), Transport("gateway", auth=auth), base_url=service.url
    )
    service.answers(grants("tok-1"), HELLO)

    assert (await ask(provider)).text == "Hi"
    await provider.aclose()

    request = service.requests[0]
    assert base64.b64decode(request.headers["authorization"].removeprefix("Basic ")) == b"id+1:s%26cret"
    assert request.body == b"grant_type=client_credentials"


async def test_many_callers_share_one_fetch(customer: Customer, service: Loopback) -> None:
    service.answers(grants("tok-1", expires_in=3600), HELLO)

    answers = await asyncio.gather(*(customer.asks() for _ in range(20)))

    assert [answer.text for answer in answers] == ["Hi"] * 20
    assert customer.calls.count("token") == 1


async def test_a_refused_token_is_renewed_once_and_the_request_sent_again(
    customer: Customer, service: Loopback
) -> None:
    service.answers(grants("tok-1"), REFUSED, grants("tok-2"), HELLO)

    assert (await customer.asks()).text == "Hi"
    assert customer.calls == ["token", "tok-1", "token", "tok-2"]


async def test_a_second_refusal_is_the_answer(customer: Customer, service: Loopback) -> None:
    service.answers(grants("tok-1"), REFUSED, grants("tok-2"), REFUSED)

    heard = await customer.asks()

    assert heard.error.kind == "auth"
    assert customer.calls == ["token", "tok-1", "token", "tok-2"]


async def test_a_token_is_renewed_ahead_of_its_end(customer: Customer, service: Loopback) -> None:
    service.answers(grants("tok-1", expires_in="3600"), HELLO, HELLO, grants("tok-2"), HELLO)

    await customer.asks()
    customer.now += 3539
    await customer.asks()
    customer.now += 1
    await customer.asks()

    assert customer.calls == ["token", "tok-1", "tok-1", "token", "tok-2"]


async def test_a_token_that_another_process_fetched_is_used(service: Loopback) -> None:
    tokens = ProcessTokens()
    customer = Customer(service, tokens)
    await tokens.save(customer.auth.name, Token(Secret("tok-9")))
    service.answers(HELLO)

    await customer.asks()
    await customer.provider.aclose()

    assert customer.calls == ["tok-9"]


async def test_the_token_of_another_account_is_not_used(service: Loopback) -> None:
    tokens = ProcessTokens()
    service.answers(grants("tok-shop"), HELLO, HELLO, grants("tok-depot"), HELLO)

    for client_id in ("shop", "shop", "depot"):
        settings = OAuth2Settings(token_url=f"{service.url}/token", client_id=client_id)
        transport = Transport("gateway", auth=OAuth2("gateway", settings, tokens))
        provider = HttpProvider("gateway", ChatWire(OpenAISettings()), transport, base_url=service.url)
        assert (await ask(provider)).text == "Hi"
        await provider.aclose()

    sent = [request.headers.get("authorization", "token") for request in service.requests]
    assert sent == ["token", "Bearer tok-shop", "Bearer tok-shop", "token", "Bearer tok-depot"]


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"error": "invalid_client", "error_description": "who is s3cret?"}, "auth"),
        (400, {"error": "unauthorized_client"}, "auth"),
        (200, {"error_code": 3}, "auth"),
        (200, {"access_token": None}, "auth"),
        (200, {"access_token": ""}, "auth"),
        (200, [], "auth"),
        (503, "<html>", "server"),
        (429, {}, "server"),
    ],
)
async def test_a_token_service_that_gives_none_is_told(
    customer: Customer, service: Loopback, status: int, body: object, kind: str
) -> None:
    service.answers(json_reply(status, body))

    heard = await customer.asks()

    assert heard.error.kind == kind
    assert "`gateway`" in heard.error.message
    assert "s3cret" not in heard.error.message
    if isinstance(body, dict) and (reason := body.get("error_description") or body.get("error")):
        assert reason.replace("s3cret", "…") in heard.error.message
    assert customer.calls == ["token"]


async def test_a_caller_who_leaves_while_fetching_blocks_nobody(
    customer: Customer, service: Loopback
) -> None:
    service.answers(Reply(before_s=None), grants("tok-1"), HELLO)
    first = asyncio.create_task(customer.asks())
    await service.until(lambda: len(service.requests) == 1)

    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    assert (await customer.asks()).text == "Hi"


@pytest.mark.parametrize(("lifetime_s", "fresh_for_s"), [(3600, 3540), (100, 90), (None, 1e9)])
def test_tokens_are_given_up_somewhat_early(lifetime_s: float | None, fresh_for_s: float) -> None:
    token = expiring("t", lifetime_s, now=0.0)

    assert token.is_fresh(fresh_for_s - 1)
    assert token.is_fresh(fresh_for_s) is (lifetime_s is None)


def test_a_row_signs_in_by_client_credentials(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("""\
providers:
  gateway:
    kind: openai
    base_url: http://127.0.0.1/v1
    auth: {oauth2: {token_url: "http://127.0.0.1/token", client_id: shop, client_secret: "${SECRET}"}}
models: {quick: {provider: gateway, model: m}}
routes: {default: [quick]}
""")

    with_secret = config.load(tmp_path / "config.yaml", {"SECRET": "s3cret"})
    without = config.load(tmp_path / "config.yaml", {})

    assert "s3cret" not in repr(with_secret)
    assert set(with_secret.build().targets) == {"quick"}
    assert without.providers["gateway"].absent == "`auth` is empty"
