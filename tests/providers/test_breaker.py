"""A sick target is left alone by all processes, and asked again as soon as it is well."""

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from chatbot.providers.base import Target, Timeouts
from chatbot.providers.errors import TimedOut, of_kind
from chatbot.providers.events import CompletionFinished, ProviderEvent, ReasoningDelta, TextDelta
from chatbot.providers.messages import CompletionRequest
from chatbot.providers.scripted import Scripted, Wait, says
from chatbot.providers.shared import Alone
from tests.providers.asking import target_of
from tests.providers.crossing import Visitor
from tests.providers.memory import Memory
from tests.providers.virtual_time import run


class Service(Scripted):
    """A model service that is `well` or whatever else it is: a script."""

    def __init__(self, name: str = "sick", ails: Any = None) -> None:
        super().__init__(write=lambda request, target: self.ails or says("Hello there", pieces=2), name=name)
        self.ails = ails

    @property
    def calls(self) -> int:
        return len(self.requests)


FAILS = [of_kind("server", "It fails.")]
REFUSES = [of_kind("unavailable", "Nobody listens.")]
HANGS = [Wait(None)]


def target(service: Service, **fields: Any) -> Target:
    return target_of(service, name=service.name, timeouts=Timeouts(first_s=30), **fields)


class Patient(Service):
    """One whose time-outs are kept, as an adapter keeps them."""

    async def stream(
        self, request: CompletionRequest, *, target: Target
    ) -> AsyncGenerator[ProviderEvent, None]:
        heard = False
        events = super().stream(request, target=target)
        while True:
            try:
                async with asyncio.timeout(target.timeouts.first_s):
                    event = await anext(events)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise TimedOut("idle" if heard else "first", "Nothing came.") from None
            heard = True
            yield event


async def until_rests(visitor: Visitor, *, every_s: float, at_most_s: float) -> float:
    """Let a visitor ask every so often until the target rests; the seconds it took."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    while not visitor.gate.breakers.all or not visitor.gate.breakers.all[0].is_resting:
        assert loop.time() - began <= at_most_s, "It never went to rest."
        await visitor.asks()
        await asyncio.sleep(every_s)
    return loop.time() - began


@pytest.mark.parametrize("ails", [FAILS, REFUSES], ids=["errors", "refused"])
@pytest.mark.parametrize("every_s", [0.05, 0.5, 4.0])
def test_it_opens_within_ten_seconds_of_errors(ails: Any, every_s: float) -> None:
    async def story() -> None:
        service, spare = Service(ails=ails), Service("spare")
        anna = Visitor(Memory(), target(service), target(spare))

        assert await until_rests(anna, every_s=every_s, at_most_s=10) <= 10
        calls = service.calls
        assert (await anna.asks()).text == "Hello there"

        assert service.calls == calls  # not asked any more
        assert anna.errors[-1] == ("unavailable", "resting")
        await anna.leaves()

    run(story())


def test_processes_count_together() -> None:
    async def story() -> None:
        service, memory = Service(ails=FAILS), Memory()
        crowd = [Visitor(memory, target(service)) for _ in range(4)]
        for visitor in crowd:  # each process alone sees two failures
            await visitor.asks()
            await asyncio.sleep(1.0)

        await crowd[0].asks()
        assert [visitor.gate.breakers.all[0].is_resting for visitor in crowd] == [True] * 4
        assert sum(ours for visitor in crowd for _, rests, ours in visitor.crowd.turns if rests) == 1
        for visitor in crowd:
            await visitor.leaves()

    run(story())


def test_a_hanging_service_rests_after_its_first_time_out() -> None:
    async def story() -> None:
        service, spare = Patient(ails=HANGS), Service("spare")
        anna = Visitor(Memory(), target(service), target(spare))

        assert (await anna.asks()).text == "Hello there"
        assert (await anna.asks()).text == "Hello there"

        assert service.calls == 1
        assert asyncio.get_running_loop().time() < 32
        await anna.leaves()

    run(story())


def test_one_that_hangs_longer_than_its_route_lasts_rests_as_well() -> None:
    async def story() -> None:
        service = Service(ails=HANGS)
        anna = Visitor(Memory(), target(service), total_s=12)

        await anna.asks()

        assert anna.gate.breakers.all[0].is_resting
        await anna.leaves()

    run(story())


def test_a_time_out_of_one_call_among_many_answered_ones_is_no_hanging() -> None:
    async def story() -> None:
        service = Patient(ails=HANGS)
        anna = Visitor(Memory(), target(service))
        waiting = asyncio.create_task(anna.asks())
        await asyncio.sleep(1)
        service.ails = None
        for _ in range(40):
            await anna.asks()
            await asyncio.sleep(1)
        await waiting

        assert ("timeout", None) in anna.errors
        assert anna.crowd.turns == []
        await anna.leaves()

    run(story())


def test_answers_that_fall_silent_midway_are_hanging_too() -> None:
    async def story() -> None:
        anna = Visitor(Memory(), target(Patient(ails=["Half an", Wait(None)])))

        heard = await anna.asks()

        assert (heard.text, heard.error and heard.error.kind) == ("Half an", "timeout")
        assert anna.gate.breakers.all[0].is_resting
        await anna.leaves()

    run(story())


def test_answers_that_break_off_midway_send_it_to_rest() -> None:
    async def story() -> None:
        anna = Visitor(Memory(), target(Service(ails=["Half an"])))

        assert await until_rests(anna, every_s=3, at_most_s=10) <= 10
        await anna.leaves()

    run(story())


@pytest.mark.parametrize(
    "kind",
    ["invalid_request", "context_length", "content_filter", "auth", "permission", "not_found", "quota"],
)
def test_what_a_service_refuses_does_not_open_it(kind: Any) -> None:
    async def story() -> None:
        service = Service(ails=[of_kind(kind, "No.")])
        anna = Visitor(Memory(), target(service))
        for _ in range(30):
            await anna.asks()
            await asyncio.sleep(0.3)

        assert service.calls == 30
        assert not anna.gate.breakers.all[0].is_resting
        await anna.leaves()

    run(story())


def test_a_storm_of_429_opens_it() -> None:
    async def story() -> None:
        service = Service(ails=[of_kind("rate_limit", "Slow down.", retry_after_s=120)])
        anna = Visitor(Memory(), target(service))

        assert await until_rests(anna, every_s=1, at_most_s=10) <= 10
        await anna.leaves()

    run(story())


@pytest.mark.parametrize("ails", [FAILS, HANGS], ids=["errors", "hangs"])
def test_it_closes_within_thirty_seconds_of_recovery_for_everybody(ails: Any) -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        service, spare, memory = Patient(ails=ails), Service("spare"), Memory()
        crowd = [Visitor(memory, target(service), target(spare)) for _ in range(2)]

        async def keeps_asking(visitor: Visitor) -> None:
            while True:
                await visitor.asks()
                await asyncio.sleep(2)

        asking = [asyncio.create_task(keeps_asking(visitor)) for visitor in crowd]
        await asyncio.sleep(300)
        assert all(visitor.gate.breakers.all[0].is_resting for visitor in crowd)
        service.ails, well_at = None, loop.time()
        while any(visitor.gate.breakers.all[0].is_resting for visitor in crowd):
            await asyncio.sleep(0.5)
            assert loop.time() - well_at <= 30
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)
        for visitor in crowd:
            await visitor.leaves()

    run(story())


def test_a_resting_target_costs_one_visitor_in_a_while_and_nobody_else() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        service, spare, memory = Patient(ails=HANGS), Service("spare"), Memory()
        crowd = [Visitor(memory, target(service), target(spare)) for _ in range(3)]
        waits: list[float] = []

        async def asks_once(visitor: Visitor) -> None:
            began = loop.time()
            await visitor.asks()
            waits.append(loop.time() - began)

        asking = []
        for second in range(300):
            asking.append(asyncio.create_task(asks_once(crowd[second % 3])))
            await asyncio.sleep(1)
        await asyncio.gather(*asking)

        # The first half minute of visitors came before anybody could know.
        assert len([wait for wait in waits if wait > 1]) <= 31 + 300 / 20 + 1
        for visitor in crowd:
            await visitor.leaves()

    run(story())


def test_a_probe_that_is_given_up_lets_the_next_one_out() -> None:
    async def story() -> None:
        service = Service(ails=FAILS)
        anna = Visitor(Memory(), target(service))
        await until_rests(anna, every_s=1, at_most_s=10)
        await asyncio.sleep(21)
        service.ails = HANGS
        probe = asyncio.create_task(anna.asks())
        await asyncio.sleep(1)
        assert (await anna.asks()).error is not None  # one at a time
        service.ails = None
        probe.cancel()
        await asyncio.gather(probe, return_exceptions=True)

        assert (await anna.asks()).text == "Hello there"
        await anna.leaves()

    run(story())


@pytest.mark.parametrize("shared", [Memory, Alone])
def test_of_many_who_come_at_once_one_is_the_probe(shared: Any) -> None:
    async def story() -> None:
        service = Service(ails=FAILS)
        anna = Visitor(shared(), target(service))
        await until_rests(anna, every_s=1, at_most_s=10)
        await asyncio.sleep(21)
        calls = service.calls
        service.ails = [Wait(1), *says("Well again")]
        answers = await asyncio.gather(*(anna.asks() for _ in range(20)))

        assert service.calls == calls + 1
        assert [answer.text for answer in answers if answer.text] == ["Well again"]
        await anna.leaves()

    run(story())


def test_the_first_word_closes_it_also_one_of_reasoning() -> None:
    async def story() -> None:
        service = Service(ails=FAILS)
        anna = Visitor(Memory(), target(service))
        await until_rests(anna, every_s=1, at_most_s=10)
        await asyncio.sleep(21)
        done = CompletionFinished(finish="stop")
        service.ails = [ReasoningDelta("hm"), Wait(40), TextDelta("Yes"), done]
        probe = asyncio.create_task(anna.asks())
        await asyncio.sleep(0.1)

        assert not anna.gate.breakers.all[0].is_resting
        assert (await probe).text == "Yes"
        await anna.leaves()

    run(story())


def test_alone_each_process_knows_for_itself() -> None:
    async def story() -> None:
        service = Service(ails=FAILS)
        anna, bert = Visitor(Alone(), target(service)), Visitor(Alone(), target(service))

        await until_rests(anna, every_s=1, at_most_s=10)
        assert (await bert.asks()).error is not None
        assert not bert.gate.breakers.all[0].is_resting
        service.ails = None
        await asyncio.sleep(21)
        assert (await anna.asks()).text == "Hello there"
        for visitor in (anna, bert):
            await visitor.leaves()

    run(story())


def test_what_is_known_outlives_an_absence_of_the_shared_state() -> None:
    async def story() -> None:
        service, memory = Service(ails=FAILS), Memory()
        anna = Visitor(memory, target(service))
        await until_rests(anna, every_s=1, at_most_s=10)

        memory.is_away = True
        await asyncio.sleep(3)
        assert (await anna.asks()).error is not None
        memory.is_away = False
        memory.values.clear()  # it came back empty
        await asyncio.sleep(3)

        assert anna.gate.breakers.all[0].is_resting
        await anna.leaves()

    run(story())


def test_an_operator_is_let_through_and_what_he_hears_counts() -> None:
    async def story() -> None:
        service, memory = Service(ails=FAILS), Memory()
        anna, operator = Visitor(memory, target(service)), Visitor(memory, target(service))
        await until_rests(anna, every_s=1, at_most_s=10)
        operator.route = type(operator.route)(
            name="model", steps=operator.route.steps, gate=operator.gate.insisting
        )
        calls = service.calls

        await operator.asks()
        assert service.calls > calls
        assert ("server", None) in operator.errors
        service.ails = None
        await operator.asks()
        await asyncio.sleep(1.1)

        assert (await anna.asks()).text == "Hello there"
        for visitor in (anna, operator):
            await visitor.leaves()

    run(story())


def test_calls_to_a_healthy_target_look_nowhere() -> None:
    async def story() -> None:
        memory = Memory()
        anna = Visitor(memory, target(Service()))
        await anna.asks()
        looks = memory.looks
        for _ in range(1000):
            await anna.asks()

        assert memory.looks == looks
        await anna.leaves()

    run(story())


def test_the_same_name_at_another_address_is_another_target() -> None:
    async def story() -> None:
        sick, well, memory = Service(ails=FAILS), Service(), Memory()
        anna = Visitor(memory, target(sick, address="http://a"))
        bert = Visitor(memory, target(well, address="http://b"))
        await until_rests(anna, every_s=1, at_most_s=10)

        assert (await bert.asks()).text == "Hello there"
        for visitor in (anna, bert):
            await visitor.leaves()

    run(story())


def test_the_witness_hears_what_became_of_each_call() -> None:
    async def story() -> None:
        service = Service()
        anna = Visitor(Memory(), target(service))
        await anna.asks()
        service.ails = FAILS
        await until_rests(anna, every_s=1, at_most_s=10)
        await anna.asks()
        outcomes = [outcome for _, outcome in anna.crowd.outcomes]

        assert (outcomes[0].error, outcomes[0].first_delta_s) == (None, 0.0)
        assert outcomes[1].error is not None
        assert (outcomes[1].error.kind, outcomes[1].is_refused) == ("server", False)
        assert (outcomes[-1].is_resting, outcomes[-1].is_refused) == (True, True)
        assert outcomes[-1].usage.input_tokens == 0
        assert anna.crowd.turns == [("sick", True, True)]
        await anna.leaves()

    run(story())
