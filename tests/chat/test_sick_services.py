"""A service falls ill in every way there is; the visitor is answered by the next, or told in time."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from chatbot import config
from chatbot.providers.scripted import recital
from conversations.models import Completion, Turn
from conversations.routes import Routes
from tests.chat.cast import Tab
from tests.chat.conftest import Processes, Tabs
from tests.chat.fate import Process
from tests.providers.loopback import HANG, Loopback, Reply, json_reply, loopback
from tests.providers.wires import SAMPLES

pytestmark = pytest.mark.django_db(transaction=True)

SAYS = SAMPLES["openai"]
TOTAL_S, TIME_OUT_S = 6.0, 1.0  # as the config.yaml below says
CONFIG = """\
providers:
  sick: {kind: openai, base_url: "URL/v1", timeout_s: {connect: 2, first: 1, idle: 1, total: 4}}
  well: {kind: scripted}
models:
  first: {provider: sick, model: m-1}
  next: {provider: well, model: m-2}
routes:
  default: {steps: STEPS, total_s: 6}
"""
WORDS = "script: pieces=12 seed=5"
ANSWER = "".join(recital(12, 5))


@pytest.fixture
async def service() -> AsyncIterator[Loopback]:
    """The sick one."""
    async with loopback() as running:
        yield running


House = Callable[..., Any]


@pytest.fixture
async def house(processes: Processes, service: Loopback, tmp_path: Path) -> House:
    """A process that asks as a config.yaml says: first the sick service, then, unless told otherwise,
    one that is well."""

    async def start(*, steps: str = "[first, next]", url: str = "") -> Process:
        process = await processes()
        file = tmp_path / "config.yaml"
        file.write_text(CONFIG.replace("URL", url or service.url).replace("STEPS", steps))
        process._routes = Routes(config.load(file, {}), process.state)
        return process

    return start


async def completions() -> list[tuple[str, str, str]]:
    return [(row.target, row.status, row.error) async for row in Completion.objects.order_by("number")]


def event(text: str) -> bytes:
    return SAYS.delta(text)


HTML = {"content-type": "text/html"}
SLOW = [piece for byte in event("Hi") for piece in (bytes([byte]), 1.0)]
COMMENTS = [piece for _ in range(100) for piece in (b": ping\n\n", 0.05)]

# What the service does with each request, and the errors of the attempts at it.
ILLS: dict[str, tuple[Reply, list[str]]] = {
    "429 storm": (json_reply(429, {"error": {"message": "Slow down."}}), ["rate_limit"] * 2),
    "429 that asks for an hour": (
        json_reply(429, {"error": {}}, {"retry-after": "3600"}), ["rate_limit"]
    ),
    "500s": (json_reply(500, {"error": {"message": "Oops."}}), ["server"] * 2),
    "503 page": (
        Reply(status=503, headers=HTML, pieces=[b"<h1>Down</h1>"]), ["overloaded"] * 2
    ),
    "hang before the first byte": (Reply(before_s=None), ["timeout"]),
    "hang after the head": (Reply(pieces=[HANG]), ["timeout"]),
    "hang after the first bytes": (Reply(pieces=[b": ping\n\n", b"data: {", HANG]), ["timeout"]),
    "reset before the first byte": (Reply(pieces=[], end="reset"), ["incomplete_stream"] * 2),
    "reset after the first bytes": (Reply(pieces=[b"data: {"], end="reset"), ["incomplete_stream"] * 2),
    "end without a word": (Reply(pieces=[b"data: [DONE]\n\n"]), ["incomplete_stream"] * 2),
    "HTML with status 200": (
        Reply(headers=HTML, pieces=[b"<html>Sign in</html>"]), ["bad_response"] * 2
    ),
    "nonsense as events": (Reply(pieces=[b"data: <html>\n\n"]), ["bad_response"] * 2),
    "10 MB in one line": (Reply(pieces=[b"data: ", *[b"x" * (1 << 20)] * 10]), ["bad_response"] * 2),
    "one byte a second": (Reply(pieces=SLOW), ["timeout"]),
    "comments for ever": (Reply(pieces=COMMENTS), ["timeout"]),
}  # fmt: skip


@pytest.mark.parametrize("ill", ILLS)
async def test_the_next_target_answers_in_time_and_every_attempt_is_on_record(
    house: House, tabs: Tabs, service: Loopback, ill: str
) -> None:
    reply, errors = ILLS[ill]
    service.answers(reply)
    anna = await tabs(await house())
    began = time.monotonic()

    answer = await anna.ask(WORDS)

    assert (answer["text"], answer["status"]) == (ANSWER, "final")
    assert time.monotonic() - began < TOTAL_S
    assert await completions() == [*(("first", "failed", kind) for kind in errors), ("next", "completed", "")]
    assert (await Turn.objects.aget()).status == "completed"
    assert anna.gaps == 0


async def test_a_refused_connection_is_passed_over(house: House, tabs: Tabs) -> None:
    anna = await tabs(await house(url="http://127.0.0.1:9"))

    answer = await anna.ask(WORDS)

    assert answer["text"] == ANSWER
    assert await completions() == [("first", "failed", "unavailable")] * 2 + [("next", "completed", "")]


@pytest.mark.parametrize("ill", ["500s", "hang before the first byte", "one byte a second"])
async def test_when_all_are_sick_the_turn_ends_and_says_so_in_time(
    house: House, tabs: Tabs, service: Loopback, ill: str
) -> None:
    reply, errors = ILLS[ill]
    service.answers(reply)
    anna = await tabs(await house(steps="[first]"))
    began = time.monotonic()

    answer = await anna.ask("Where is my parcel?")
    error = await anna.see("error")

    assert (answer["text"], answer["status"], error["code"]) == ("", "failed", "model_unavailable")
    assert time.monotonic() - began < TOTAL_S
    assert await completions() == [("first", "failed", kind) for kind in errors]


@pytest.mark.parametrize(
    ("rest", "error"),
    [
        ([HANG], "timeout"),
        (COMMENTS, "timeout"),
        ([b"data: {"], "incomplete_stream"),
        ([b'data: {"error": {"message": "Oops."}}\n\n'], "server"),
    ],
    ids=["hangs", "comments for ever", "breaks off", "an error in the midst"],
)
async def test_what_was_shown_stays_and_the_turn_ends_as_interrupted(
    house: House, tabs: Tabs, service: Loopback, rest: list[Any], error: str
) -> None:
    service.answers(Reply(pieces=[event("Your parcel"), *rest], end="reset"))
    anna = await tabs(await house())
    began = time.monotonic()

    answer = await anna.ask("Where is my parcel?")

    assert (answer["text"], answer["status"]) == ("Your parcel", "interrupted")
    assert time.monotonic() - began < TOTAL_S
    assert await completions() == [("first", "failed", error)]  # never a second voice


async def test_after_a_time_out_nobody_waits_for_it_again_until_it_is_well(
    house: House, tabs: Tabs, service: Loopback, no_limits: None
) -> None:
    service.answers(Reply(before_s=None))
    process = await house()
    anna = await tabs(process)
    assert (await anna.ask(WORDS, "c-0"))["text"] == ANSWER
    asked = len(service.requests)

    for number in range(1, 6):
        began = time.monotonic()
        assert (await anna.ask(WORDS, f"c-{number}"))["text"] == ANSWER
        assert time.monotonic() - began < TIME_OUT_S

    assert len(service.requests) == asked == 1
    assert await Completion.objects.filter(error="unavailable", error_code="resting").acount() == 5
    breaker = process._routes._gate.breakers.all[0]
    breaker._know(breaker.health.unprobed(time.time()))  # its rest is over
    await process.state.call("DEL", process.state.key(breaker.key))
    service.answers(Reply(pieces=[event("I am well."), SAYS.end]))
    assert (await anna.ask(WORDS, "c-9"))["text"] == "I am well."


async def test_a_sick_service_slows_nobody_else(
    house: House, tabs: Tabs, service: Loopback, no_limits: None
) -> None:
    service.answers(Reply(before_s=None))
    process = await house(steps="[first]")
    waiting = [await tabs(process, address=f"192.0.2.{number}") for number in range(10)]
    sick = process._routes
    questions = [asyncio.create_task(tab.ask("Hello?", "c-1")) for tab in waiting]
    await service.until(lambda: len(service.requests) == 10)
    well = Routes(sick.said, process.state)
    process._routes = _Only(well, "next")

    bert: Tab = await tabs(process, address="192.0.2.99")
    waits = []
    for number in range(5):
        began = time.monotonic()
        assert (await bert.ask(WORDS, f"c-{number}"))["text"] == ANSWER
        waits.append(time.monotonic() - began)

    assert max(waits) < TIME_OUT_S
    await asyncio.gather(*questions)
    await sick.aclose()


class _Only:
    """Routes that lead to one model."""

    def __init__(self, routes: Routes, model: str) -> None:
        self._routes = routes
        self._model = model

    def named(self, name: str) -> Any:
        return self._routes.only(self._model)

    async def aclose(self) -> None:
        await self._routes.aclose()
