"""Routes: who is asked, when again, when the next, and when no more."""

import asyncio
from collections.abc import Iterable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest

from chatbot.providers import fallback
from chatbot.providers.base import OpenGate, Target, Unwatched
from chatbot.providers.errors import (
    IncompleteStream,
    ProviderError,
    RouteExhausted,
    TimedOut,
    TryLater,
    of_kind,
)
from chatbot.providers.events import AttemptFailed, CompletionFinished, ReasoningDelta, TextDelta
from chatbot.providers.fallback import Attempt, Route, Step, WeightedTarget
from chatbot.providers.messages import CompletionRequest, Parameters, Usage
from chatbot.providers.parameters import Limits
from chatbot.providers.scripted import Script, Scripted, Wait, says
from tests.providers.asking import QUESTION, Heard, target_of
from tests.providers.virtual_time import run

DONE = CompletionFinished(finish="stop", finish_raw="stop")


class Journey:
    """One use of a route in virtual time: `waits` are the pauses taken, `asked` the attempts composed,
    `heard` what came out; `exhausted` is the end without an answer."""

    def __init__(self, *steps: Any, total_s: float = 60.0, dice: Iterable[float] = (), **route: Any) -> None:
        self.waits: list[float] = []
        self.asked: list[Attempt] = []
        self.heard = Heard()
        self.exhausted: RouteExhausted | None = None
        self.took_s = 0.0
        self._dice = iter(dice)
        self.route = Route(name="support", steps=tuple(map(self._step, steps)), total_s=total_s, **route)

    @staticmethod
    def _step(step: Any) -> Step:
        targets = step if isinstance(step, list) else [step]
        return Step(tuple(t if isinstance(t, WeightedTarget) else WeightedTarget(t) for t in targets))

    async def compose(self, attempt: Attempt) -> CompletionRequest:
        self.asked.append(attempt)
        return QUESTION

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        await asyncio.sleep(seconds)

    async def _travel(self, **options: Any) -> None:
        clock = asyncio.get_running_loop().time
        stream = fallback.stream(
            self.route,
            options.pop("compose", self.compose),
            clock=clock,
            sleep=self._sleep,
            random=lambda: next(self._dice, 0.5),
            **options,
        )
        async with aclosing(stream) as events:
            try:
                async for event in events:
                    self.heard.events.append(event)
            except ProviderError as error:
                self.heard.error = error
            except RouteExhausted as end:
                self.exhausted = end
        self.took_s = clock()

    def go(self, **options: Any) -> "Journey":
        run(self._travel(**options))
        return self

    @property
    def failures(self) -> list[tuple[int, str]]:
        events = self.heard.events
        return [(event.attempt, event.error.kind) for event in events if isinstance(event, AttemptFailed)]

    @property
    def names(self) -> list[str]:
        return [attempt.target.name for attempt in self.asked]


def target(name: str, *scripts: Script, **fields: Any) -> Target:
    return target_of(Scripted(*scripts, name=name), name=name, **fields)


def fails(kind: Any, **more: Any) -> Script:
    return [of_kind(kind, "no", **more)]


def test_the_first_target_that_speaks_is_the_only_one_asked() -> None:
    journey = Journey(target("a", says("Hello", pieces=2)), target("b", says("never"))).go()

    assert journey.heard.text == "Hello"
    assert journey.heard.finished == DONE
    assert journey.asked == [Attempt(1, journey.asked[0].target)]


def test_a_target_is_asked_twice_then_the_next_and_attempts_count_on() -> None:
    journey = Journey(target("a", fails("server")), target("b", says("Here"))).go()

    assert journey.names == ["a", "a", "b"]
    assert [attempt.number for attempt in journey.asked] == [1, 2, 3]
    assert journey.failures == [(1, "server"), (2, "server")]
    assert journey.heard.text == "Here"


def test_a_retry_that_answers_is_the_answer() -> None:
    journey = Journey(target("a", fails("overloaded"), says("Now")), target("b", says("never"))).go()

    assert (journey.names, journey.heard.text) == (["a", "a"], "Now")


@pytest.mark.parametrize(
    "kind",
    ["auth", "permission", "not_found", "quota", "invalid_request", "context_length", "not_configured"],
)
def test_what_cannot_heal_is_not_asked_again_but_elsewhere(kind: str) -> None:
    journey = Journey(target("a", fails(kind)), target("b", says("Here"))).go()

    assert (journey.names, journey.waits, journey.heard.text) == (["a", "b"], [], "Here")


@pytest.mark.parametrize(
    "kind",
    ["rate_limit", "overloaded", "server", "timeout", "unavailable", "bad_response", "incomplete_stream"],
)
def test_what_may_heal_is_asked_again(kind: str) -> None:
    assert Journey(target("a", fails(kind)), target("b", says("Here"))).go().names == ["a", "a", "b"]


def test_a_refused_text_is_not_shopped_around() -> None:
    journey = Journey(target("a", fails("content_filter")), target("b", says("never"))).go()

    assert journey.names == ["a"]
    assert journey.exhausted is not None
    assert journey.exhausted.last.kind == "content_filter"


def test_a_refusal_that_comes_as_a_finish_is_passed_on() -> None:
    filtered = CompletionFinished(finish="content_filter", finish_raw="content_filter")

    journey = Journey(target("a", [filtered]), target("b", says("never"))).go()

    assert (journey.names, journey.heard.events) == (["a"], [filtered])


def test_a_first_timeout_is_not_tried_again_on_the_same_target() -> None:
    script: Script = [TimedOut("first", "silence")]

    assert Journey(target("a", script), target("b", says("Here"))).go().names == ["a", "b"]


def test_the_pause_before_a_retry_is_drawn_at_random() -> None:
    for dice, pause_s in ((0.0, 0.0), (0.5, 0.25), (0.999, 0.4995)):
        journey = Journey(target("a", fails("server"), says("x")), dice=[0.0, dice]).go()

        assert journey.waits == [pytest.approx(pause_s)]


def test_what_the_service_asks_to_wait_is_waited() -> None:
    journey = Journey(target("a", fails("rate_limit", retry_after_s=7.5), says("x"))).go()

    assert (journey.waits, journey.took_s) == ([7.5], 7.5)


def test_a_wait_beyond_the_routes_time_means_the_next_target_at_once() -> None:
    limited = target("a", fails("rate_limit", retry_after_s=60.0))

    journey = Journey(limited, target("b", says("Here")), total_s=60).go()

    assert (journey.names, journey.waits, journey.took_s) == (["a", "b"], [], 0.0)


def test_a_long_wait_is_not_waited_while_another_target_is_free() -> None:
    limited = target("a", fails("rate_limit", retry_after_s=25.0))

    journey = Journey(limited, target("b", says("Here")), total_s=60).go()

    assert (journey.names, journey.waits, journey.took_s) == (["a", "b"], [], 0.0)


def test_who_asked_for_a_long_wait_is_asked_again_once_all_others_have_failed() -> None:
    later = target("a", fails("rate_limit", retry_after_s=25.0), says("Here"))
    sooner = target("b", fails("overloaded", retry_after_s=10.0))
    broken = target("c", fails("auth"))

    journey = Journey(later, sooner, broken, total_s=60).go()

    assert (journey.names, journey.heard.text) == (["a", "b", "c", "b", "a"], "Here")
    assert (journey.waits, journey.took_s) == ([10.0, 15.0], 25.0)
    assert [attempt.number for attempt in journey.asked] == [1, 2, 3, 4, 5]


def test_a_short_wait_is_waited_though_another_target_is_free() -> None:
    journey = Journey(
        target("a", fails("rate_limit", retry_after_s=5.0), says("Now")), target("b", says("x"))
    ).go()

    assert (journey.names, journey.waits, journey.heard.text) == (["a", "a"], [5.0], "Now")


def test_an_empty_answer_gives_the_next_target_its_chance() -> None:
    spent = CompletionFinished(finish="stop", usage=Usage(input_tokens=9, output_tokens=0, kind="exact"))

    journey = Journey(target("a", [ReasoningDelta("hm"), spent]), target("b", says("Here"))).go()

    assert journey.failures == [(1, "bad_response"), (2, "bad_response")]
    failed = [event for event in journey.heard.events if isinstance(event, AttemptFailed)]
    assert failed[0].error.usage == spent.usage
    assert journey.heard.text == "Here"


def test_thinking_is_not_visible_so_the_next_target_may_speak() -> None:
    thinker: Script = [ReasoningDelta("hm"), TryLater("server", "no")]

    journey = Journey(target("a", thinker), target("b", says("Here"))).go()

    assert (journey.names, journey.heard.reasoning, journey.heard.text) == (["a", "a", "b"], "hmhm", "Here")


@pytest.mark.parametrize(
    "fault", [IncompleteStream("cut"), TryLater("server", "no"), TimedOut("idle", "silence")]
)
def test_after_the_first_word_there_is_no_second_voice(fault: ProviderError) -> None:
    journey = Journey(target("a", ["Half", fault]), target("b", says("never"))).go()

    assert (journey.names, journey.heard.text, journey.heard.error) == (["a"], "Half", fault)
    assert journey.failures == []


def test_nobody_answers() -> None:
    journey = Journey(target("a", fails("auth")), target("b", fails("server"))).go()

    assert journey.exhausted is not None
    assert journey.exhausted.last.kind == "server"
    assert journey.failures == [(1, "auth"), (2, "server"), (3, "server")]


def test_a_route_without_targets_says_what_would_help() -> None:
    journey = Journey().go()

    assert journey.exhausted is not None
    assert journey.exhausted.last.kind == "not_configured"
    assert "`support`" in str(journey.exhausted)


def test_the_routes_time_bounds_all_attempts_together() -> None:
    slow: Script = [Wait(8.0), TryLater("server", "no")]

    journey = Journey(target("a", slow), target("b", slow), total_s=20, dice=[0] * 9).go()

    assert journey.took_s == 20.0
    assert [kind for _, kind in journey.failures] == ["server", "server", "timeout"]
    last = journey.exhausted and journey.exhausted.last
    assert isinstance(last, TimedOut)
    assert last.phase == "route"


def test_the_routes_time_ends_with_the_first_word() -> None:
    patient: Script = [Wait(19.0), "At last", Wait(100.0), " done.", DONE]

    journey = Journey(target("a", patient), total_s=20).go()

    assert (journey.heard.text, journey.took_s) == ("At last done.", 119.0)


def test_a_hanging_target_is_closed_when_the_routes_time_is_over() -> None:
    hanging = target("a", [Wait(None)])

    journey = Journey(hanging, target("b", says("late")), total_s=5).go()

    assert journey.took_s == 5.0
    assert isinstance(hanging.provider, Scripted)
    assert (hanging.provider.open, hanging.provider.closed) == (0, 1)
    assert journey.names == ["a"]


def test_weights_share_the_first_attempts() -> None:
    step = Step(
        tuple(WeightedTarget(target(name, says(name)), weight) for name, weight in (("a", 3), ("b", 1)))
    )

    first = [step.draw(lambda at=at: at / 100)[0].name for at in range(100)]  # type: ignore[misc]

    assert (first.count("a"), first.count("b")) == (75, 25)


def test_targets_of_a_step_stand_in_for_each_other() -> None:
    step = [target("a", fails("auth")), target("b", fails("auth"))]

    journey = Journey(step, target("c", says("Here")), dice=[0.9]).go()

    assert journey.names == ["b", "a", "c"]


def test_the_request_is_composed_for_each_target_and_parameters_are_merged() -> None:
    big = target(
        "big", fails("server"), max_output_tokens=800, parameters=Parameters(temperature=0.1, top_p=0.5)
    )
    small = target("small", says("x"), max_output_tokens=100)
    asked = replace(QUESTION, parameters=Parameters(temperature=1.9, stop=("END",)))
    journey = Journey(
        big,
        small,
        parameters=Parameters(top_p=0.8, presence_penalty=1.0),
        limits=Limits(temperature=(0.0, 1.2), max_output_tokens=500),
    )

    async def compose(attempt: Attempt) -> CompletionRequest:
        return replace(asked, system=attempt.target.name)

    journey.go(compose=compose)

    merged = Parameters(
        temperature=1.2, top_p=0.8, presence_penalty=1.0, stop=("END",), max_output_tokens=500
    )
    assert isinstance(big.provider, Scripted)
    assert isinstance(small.provider, Scripted)
    assert big.provider.requests[0] == replace(asked, system="big", parameters=merged)
    assert small.provider.requests == [
        replace(asked, system="small", parameters=replace(merged, max_output_tokens=100))
    ]
    assert journey.route.parameters_for(big, merged) == merged


def test_compose_may_refuse_the_target_or_the_whole_route() -> None:
    class NoMoneyError(Exception):
        pass

    async def too_small(attempt: Attempt) -> CompletionRequest:
        if attempt.target.name == "small":
            raise of_kind("context_length", "The question alone is longer.")
        return QUESTION

    async def no_money(attempt: Attempt) -> CompletionRequest:
        raise NoMoneyError

    journey = Journey(target("small", says("never")), target("big", says("Here"))).go(compose=too_small)
    assert (journey.failures, journey.heard.text) == ([(1, "context_length")], "Here")

    with pytest.raises(NoMoneyError):
        Journey(target("a", says("never"))).go(compose=no_money)


def test_the_gate_sees_every_call_and_how_it_ended() -> None:
    outcomes: list[tuple[str, str | None]] = []

    class Watched(OpenGate):
        @asynccontextmanager
        async def admit(self, target: Target, request: CompletionRequest, *, within_s: float) -> Any:
            if target.name == "closed":
                raise TryLater("unavailable", "The breaker is open.")
            try:
                yield Unwatched(target)
            except ProviderError as error:
                outcomes.append((target.name, error.kind))
                raise
            outcomes.append((target.name, None))

    journey = Journey(
        target("closed", says("never")),
        target("a", fails("server")),
        target("b", says("Here")),
        gate=Watched(),
    ).go()

    assert outcomes == [("a", "server"), ("a", "server"), ("b", None)]
    assert journey.failures[0] == (1, "unavailable")
    assert journey.names == ["closed", "a", "a", "b"]


def test_leaving_early_closes_the_providers_stream() -> None:
    talker = target("a", ["one", "two", Wait(None)])

    async def leave() -> None:
        route = Journey(talker).route
        async with aclosing(fallback.stream(route, Journey(talker).compose)) as events:
            assert await anext(events) == TextDelta("one")

    run(leave())

    assert isinstance(talker.provider, Scripted)
    assert (talker.provider.open, talker.provider.closed) == (0, 1)
