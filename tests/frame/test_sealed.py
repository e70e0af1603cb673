"""Access tokens: one fetch for all processes, and nothing to read where they lie."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from chatbot import sealed
from chatbot.providers.auth import OAuth2, OAuth2Settings
from chatbot.providers.http import HttpProvider
from chatbot.providers.keys import Secret
from chatbot.providers.openai import ChatWire, OpenAISettings
from chatbot.providers.shared import Alone
from chatbot.providers.tokens import Token
from chatbot.providers.transport import Transport
from chatbot.sealed import SealedTokens
from chatbot.sharing import SharedState
from chatbot.state import State
from tests.providers.asking import ask
from tests.providers.loopback import Loopback, Reply, json_reply, loopback
from tests.providers.wires import SAMPLES
from tests.redis_server import RedisServer

HELLO = Reply(pieces=[SAMPLES["openai"].delta("Hi"), SAMPLES["openai"].end])
SECRET = "a secret key of fifty characters or thereabouts, no less"


@pytest.fixture
async def service() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        yield running


class Processes:
    """Processes of one product, each with its own provider for the same service."""

    def __init__(self, url: str, service: Loopback) -> None:
        self.url = url
        self.service = service
        self.states: list[State] = []
        self.providers: list[HttpProvider] = []

    def start(self, *, secret: str = SECRET) -> HttpProvider:
        self.states.append(State(self.url))
        tokens = SealedTokens(SharedState(self.states[-1]), secret=secret)
        settings = OAuth2Settings(
            token_url=f"{self.service.url}/token", client_id="shop", client_secret=Secret("s3cret")
        )
        transport = Transport("gateway", auth=OAuth2("gateway", settings, tokens))
        wire = ChatWire(OpenAISettings())
        self.providers.append(HttpProvider("gateway", wire, transport, base_url=f"{self.service.url}/v1"))
        return self.providers[-1]

    @property
    def calls(self) -> list[str]:
        """What reached the service: `token`, or the token a call carried."""
        return [
            "token" if request.path == "/token" else request.headers["authorization"].removeprefix("Bearer ")
            for request in self.service.requests
        ]

    async def stop(self) -> None:
        for provider in self.providers:
            await provider.aclose()
        for state in self.states:
            await state.aclose()


@pytest.fixture
async def processes(redis_server: RedisServer, service: Loopback) -> AsyncIterator[Processes]:
    made = Processes(redis_server.url, service)
    yield made
    await made.stop()


def grants(token: str, **more: Any) -> Reply:
    return json_reply(200, {"access_token": token, "expires_in": 3600, **more})


async def test_many_callers_in_many_processes_share_one_fetch(
    processes: Processes, service: Loopback
) -> None:
    service.answers(replace(grants("tok-1"), before_s=0.1), HELLO)
    providers = [processes.start() for _ in range(4)]

    answers = await asyncio.gather(*(ask(providers[number % 4]) for number in range(40)))

    assert [answer.text for answer in answers] == ["Hi"] * 40
    assert processes.calls.count("token") == 1


async def test_a_process_that_comes_later_uses_the_token_that_is_there(
    processes: Processes, service: Loopback
) -> None:
    service.answers(grants("tok-1"), HELLO)
    await ask(processes.start())

    assert (await ask(processes.start())).text == "Hi"
    assert processes.calls == ["token", "tok-1", "tok-1"]


async def test_a_refused_token_is_renewed_once_for_all(processes: Processes, service: Loopback) -> None:
    service.answers(grants("tok-1"), HELLO)
    one, other = processes.start(), processes.start()
    await ask(one)
    await ask(other)
    service.answers(json_reply(401, {}), grants("tok-2"), HELLO, json_reply(401, {}), HELLO)

    assert (await ask(one)).text == "Hi"
    assert (await ask(other)).text == "Hi"

    assert processes.calls[3:] == ["tok-1", "token", "tok-2", "tok-1", "tok-2"]


async def test_nothing_can_be_read_where_they_lie(
    processes: Processes, service: Loopback, redis_server: RedisServer
) -> None:
    service.answers(grants("tok-very-secret"), HELLO)
    await ask(processes.start())

    state = processes.states[0]
    keys = await state.call("KEYS", "*")
    values = [await state.call("GET", key) for key in keys]
    assert any(b"token:gateway:" in key for key in keys)
    assert not any(b"tok-very" in part for part in [*keys, *filter(None, values)])


async def test_what_another_secret_key_sealed_is_no_token(processes: Processes, service: Loopback) -> None:
    service.answers(grants("tok-1"), HELLO, grants("tok-2"), HELLO)
    await ask(processes.start())

    assert (
        await ask(processes.start(secret="another key altogether, as long as it needs to be"))
    ).text == "Hi"
    assert processes.calls == ["token", "tok-1", "token", "tok-2"]


async def test_when_the_one_who_fetches_dies_another_goes_on(
    processes: Processes, service: Loopback, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealed, "RENEWAL_S", 0.3)
    service.answers(grants("tok-1"), HELLO)
    processes.start()
    dead = SharedState(processes.states[0])
    await dead.swap("renewal:gateway", None, b"the dead", ttl_s=0.3)

    assert (await ask(processes.start())).text == "Hi"


async def test_a_caller_who_gives_up_while_fetching_holds_up_nobody(
    processes: Processes, service: Loopback
) -> None:
    service.answers(Reply(before_s=None), grants("tok-1"), HELLO)
    first = asyncio.create_task(ask(processes.start()))
    await service.until(lambda: len(service.requests) == 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)

    async with asyncio.timeout(5):
        assert (await ask(processes.start())).text == "Hi"


async def test_without_redis_each_process_fetches_its_own(
    processes: Processes, service: Loopback, redis_server: RedisServer
) -> None:
    redis_server.stop()
    service.answers(grants("tok-1"), HELLO, grants("tok-2"), HELLO)
    one, other = processes.start(), processes.start()

    assert [(await ask(provider)).text for provider in (one, other, one)] == ["Hi"] * 3
    assert processes.calls == ["token", "tok-1", "token", "tok-2", "tok-1"]


async def test_a_token_shows_in_no_repr() -> None:
    tokens = SealedTokens(Alone(), secret=SECRET)
    await tokens.save("gateway", Token(Secret("tok-1")))

    assert "tok-1" not in f"{await tokens.load('gateway')!r} {tokens!r} {vars(tokens)!r}"
