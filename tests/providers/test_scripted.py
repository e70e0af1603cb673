"""The scripted provider: what other tests and benchmarks rely on."""

import asyncio
import json
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest

from chatbot import config
from chatbot.providers import registry
from chatbot.providers.errors import IncompleteStream, TryLater
from chatbot.providers.events import CompletionFinished, ReasoningDelta, TextDelta
from chatbot.providers.messages import ChatMessage, CompletionRequest, Usage
from chatbot.providers.scripted import Scripted, ScriptedSettings, Wait, recital, says
from tests.providers.asking import QUESTION, ask, target_of
from tests.providers.virtual_time import run


def prompter() -> Any:
    return registry.build("scripted", "script", ScriptedSettings())


def visitor_says(text: str) -> CompletionRequest:
    return CompletionRequest(system="Two words", messages=(ChatMessage("user", text),))


async def test_scripts_are_played_in_turn_and_requests_are_kept() -> None:
    provider = Scripted(says("one"), ["tw", ReasoningDelta("hm"), "o", TryLater("server", "no")], ["three"])

    heard = [await ask(provider) for _ in range(4)]

    assert [one.text for one in heard] == ["one", "two", "three", "three"]
    assert heard[1].reasoning == "hm"
    assert isinstance(heard[1].error, TryLater)
    assert isinstance(heard[3].error, IncompleteStream)
    assert provider.requests == [QUESTION] * 4
    assert (provider.open, provider.closed) == (0, 0)


async def test_a_stream_that_is_left_is_counted() -> None:
    provider = Scripted(["a", Wait(None)])

    async with aclosing(provider.stream(QUESTION, target=target_of(provider))) as events:
        assert await anext(events) == TextDelta("a")
        assert provider.open == 1

    assert (provider.open, provider.closed) == (0, 1)


async def test_a_script_can_be_written_for_the_request() -> None:
    provider = Scripted(write=lambda request, target: says(f"{target.name}: {request.messages[-1].text}"))

    assert (await ask(provider, visitor_says("Hi"))).text == "row: Hi"


async def test_words_without_a_script_are_echoed() -> None:
    heard = await ask(prompter(), visitor_says("Where is my parcel?"))

    assert heard.text == "Where is my parcel?"
    assert len(heard.events) > 2
    assert heard.finished.usage == Usage(input_tokens=6, output_tokens=1, kind="exact")


async def test_a_visitor_can_order_an_answer() -> None:
    heard = await ask(prompter(), visitor_says("Please. script: pieces=30 seed=7 finish=length"))

    assert heard.text == "".join(recital(30, 7))
    assert heard.events[2] == TextDelta(recital(30, 7)[2])
    assert (heard.finished.finish, heard.finished.usage.output_tokens) == ("length", 30)


def test_a_recital_is_the_same_for_the_same_numbers() -> None:
    assert recital(200, 7) == recital(200, 7)[:200]
    assert recital(200, 7) != recital(200, 8)
    assert [piece.split(":")[0] for piece in recital(200, 7)] == [str(n) for n in range(1, 201)]


def test_an_ordered_answer_takes_its_time() -> None:
    async def main() -> float:
        await ask(prompter(), visitor_says("script: pieces=200 delay_ms=5 first_ms=100"))
        return asyncio.get_running_loop().time()

    assert run(main()) == pytest.approx(0.1 + 199 * 0.005)


@pytest.mark.parametrize(
    ("order", "kind", "pieces"),
    [
        ("fault=rate_limit", "rate_limit", 0),
        ("pieces=9 fault=server at=4", "server", 4),
        ("pieces=9 fault=cut at=9", "incomplete_stream", 9),
    ],
)
async def test_a_fault_strikes_where_it_is_ordered(order: str, kind: str, pieces: int) -> None:
    heard = await ask(prompter(), visitor_says(f"script: {order}"))

    assert heard.error is not None
    assert heard.error.kind == kind
    assert heard.text == "".join(recital(9, 0)[:pieces])


async def test_a_fault_may_strike_the_first_requests_only() -> None:
    provider = prompter()
    order = visitor_says("script: pieces=3 fault=server times=2")

    kinds = [heard.error and heard.error.kind for heard in [await ask(provider, order) for _ in range(3)]]

    assert kinds == ["server", "server", None]


def test_a_hang_waits_until_it_is_left() -> None:
    async def main() -> str:
        provider, text = prompter(), ""
        order = visitor_says("script: pieces=9 fault=hang at=2")
        try:
            async with (
                asyncio.timeout(60),
                aclosing(provider.stream(order, target=target_of(provider))) as events,
            ):
                async for event in events:
                    text += event.text
        except TimeoutError:
            return text
        return "never"

    assert run(main()) == "".join(recital(2, 0))


async def test_an_unknown_fault_is_refused() -> None:
    with pytest.raises(ValueError, match="no fault `sneeze`"):
        await ask(prompter(), visitor_says("script: fault=sneeze"))


async def test_a_row_of_the_configuration_plays_a_file(tmp_path: Path) -> None:
    scripts: list[Any] = [
        ["Hel", {"wait_ms": 1}, {"reasoning": "hm"}, "lo", {"finish": "stop"}],
        [{"error": "rate_limit", "retry_after_s": 2}],
    ]
    (tmp_path / "scripts.json").write_text(json.dumps(scripts))
    (tmp_path / "config.yaml").write_text(f"""\
providers: {{stage: {{kind: scripted, file: "{tmp_path}/scripts.json"}}}}
models: {{actor: {{provider: stage, model: any}}}}
routes: {{default: [actor]}}
""")
    actor = config.load(tmp_path / "config.yaml", {}).build().targets["actor"]

    first, second, third = [await ask(actor.provider) for _ in range(3)]

    assert first.events == [
        TextDelta("Hel"),
        ReasoningDelta("hm"),
        TextDelta("lo"),
        CompletionFinished(finish="stop", finish_raw="stop"),
    ]
    assert second.error is not None
    assert (second.error.kind, second.error.retry_after_s) == ("rate_limit", 2)
    assert third.text == "Hello"
