"""What we allow ourselves at a service, counted over all processes, keys and rows."""

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from chatbot.providers.allowances import Allowances
from chatbot.providers.base import CallLimits, Target
from chatbot.providers.breaker import Course
from chatbot.providers.errors import TimedOut, of_kind
from chatbot.providers.events import CompletionFinished, ProviderEvent, TextDelta
from chatbot.providers.keys import KeyRing, Secret
from chatbot.providers.limits import WAIT_S
from chatbot.providers.messages import CompletionRequest, Parameters, Usage
from chatbot.providers.scripted import Scripted, Wait
from chatbot.providers.shared import LEASE_S, Alone, Ask
from tests.providers.asking import QUESTION, target_of
from tests.providers.crossing import Visitor
from tests.providers.memory import Memory
from tests.providers.virtual_time import run


class Service(Scripted):
    """Takes `takes_s` for an answer; notes when each call came, with which key, and how many there were
    at once for each."""

    def __init__(self, *keys: str, takes_s: float = 0.0, usage: Usage | None = None) -> None:
        done = CompletionFinished(finish="stop", usage=usage or Usage())
        super().__init__([Wait(takes_s), TextDelta("Hello"), done], name="service")
        self.keys = KeyRing(map(Secret, keys))
        self.came_at: list[float] = []
        self.used: list[str] = []
        self.at_once: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def stream(
        self, request: CompletionRequest, *, target: Target
    ) -> AsyncGenerator[ProviderEvent, None]:
        key = target.key.reveal() if target.key else "-"
        self.came_at.append(asyncio.get_running_loop().time())
        self.used.append(key)
        self.at_once[key] += 1
        self.most[key] = max(self.most[key], self.at_once[key])
        try:
            async for event in super().stream(request, target=target):
                yield event
        finally:
            self.at_once[key] -= 1


def limited(service: Service, name: str = "row", own: CallLimits | None = None, **limits: int) -> Target:
    return target_of(service, name=name, service_limits=CallLimits(**limits), limits=own or CallLimits())


def most_in_a_minute(instants: list[float]) -> int:
    return max(sum(start <= each < start + 60 for each in instants) for start in instants)


@pytest.mark.parametrize("shared", [Memory, Alone])
def test_no_minute_sees_more_requests_than_are_allowed(shared: Any) -> None:
    async def story() -> None:
        service = Service()
        anna = Visitor(shared(), limited(service, rpm=5))

        async def keeps_asking() -> None:
            for _ in range(400):
                await anna.asks()
                await asyncio.sleep(0.73)

        await asyncio.gather(keeps_asking(), keeps_asking())

        assert most_in_a_minute(service.came_at) == 5
        assert len(service.came_at) >= 5 * 4  # and what is allowed is used
        await anna.leaves()

    run(story())


def test_a_call_waits_for_its_turn_a_bounded_time_then_the_next_target_is_asked() -> None:
    async def story() -> None:
        service, spare, loop = Service(takes_s=60), Service(), asyncio.get_running_loop()
        anna = Visitor(Memory(), limited(service, parallel=1), target_of(spare, name="spare"))
        first = asyncio.create_task(anna.asks())
        await asyncio.sleep(1)
        began = loop.time()

        assert (await anna.asks()).text == "Hello"
        assert loop.time() - began == pytest.approx(WAIT_S, abs=0.3)
        assert anna.errors == [("limited", None)]
        assert (len(service.came_at), len(spare.came_at)) == (1, 1)
        await first
        await anna.leaves()

    run(story())


def test_a_wait_that_would_be_too_long_is_not_begun() -> None:
    async def story() -> None:
        loop = asyncio.get_running_loop()
        anna = Visitor(Memory(), limited(Service(), rpm=1))
        await anna.asks()

        heard = await anna.asks()

        assert loop.time() < 0.1
        assert heard.error is not None
        assert (heard.error.kind, heard.error.retryable) == ("limited", True)
        assert heard.error.retry_after_s == pytest.approx(60.5, abs=0.6)
        assert "rpm 1 of `service`" in heard.error.message
        assert heard.error.usage == Usage(input_tokens=0, output_tokens=0, kind="exact")
        await anna.leaves()

    run(story())


def test_a_place_that_falls_free_is_taken_at_once_first_come_first_served() -> None:
    async def story() -> None:
        service, loop = Service(takes_s=1.03), asyncio.get_running_loop()
        anna = Visitor(Memory(), limited(service, parallel=1))
        ended: list[int] = []

        async def asks(number: int) -> None:
            await asyncio.sleep(number / 100)
            await anna.asks()
            ended.append(number)

        await asyncio.gather(*(asks(number) for number in range(4)))

        assert ended == [0, 1, 2, 3]
        assert loop.time() == pytest.approx(4.12, abs=0.02)
        assert service.most["-"] == 1
        await anna.leaves()

    run(story())


@pytest.mark.parametrize("processes", [1, 3])
def test_never_more_at_once_than_are_allowed_over_all_processes(processes: int) -> None:
    async def story() -> None:
        service, memory = Service(takes_s=0.7), Memory()
        crowd = [Visitor(memory, limited(service, parallel=4)) for _ in range(processes)]
        answers = await asyncio.gather(*(crowd[each % processes].asks() for each in range(24)))

        assert service.most["-"] == 4
        assert sum(answer.text == "Hello" for answer in answers) == 24
        for visitor in crowd:
            await visitor.leaves()

    run(story())


def test_each_key_has_its_own_allowance_and_calls_go_where_there_is_room() -> None:
    async def story() -> None:
        service = Service("sk-1", "sk-2", "sk-3", takes_s=1)
        anna = Visitor(Memory(), limited(service, parallel=2, rpm=4))

        answers = await asyncio.gather(*(anna.asks() for _ in range(13)))

        assert Counter(service.used) == {"sk-1": 4, "sk-2": 4, "sk-3": 4}
        assert set(service.most.values()) == {2}
        assert [answer.error.kind for answer in answers if answer.error] == ["limited"]
        await anna.leaves()

    run(story())


def test_a_key_that_is_busy_keeps_nobody_from_the_other() -> None:
    async def story() -> None:
        service, loop = Service("sk-1", "sk-2", takes_s=4), asyncio.get_running_loop()
        anna = Visitor(Memory(), limited(service, parallel=1))
        first = asyncio.create_task(anna.asks())
        await asyncio.sleep(1)
        service._scripts = [[TextDelta("Hello"), CompletionFinished(finish="stop")]]
        for _ in range(3):
            assert (await anna.asks()).text == "Hello"

        assert loop.time() < 1.1
        assert service.used == ["sk-1", "sk-2", "sk-2", "sk-2"]
        await first
        await anna.leaves()

    run(story())


def test_rows_share_their_providers_allowance_and_one_with_its_own_does_not() -> None:
    async def story() -> None:
        service, memory = Service(), Memory()
        small, big = limited(service, "small", rpm=2), limited(service, "big", rpm=2)
        other = target_of(service, name="other", limits=CallLimits(rpm=3))
        crowd = [Visitor(memory, row) for row in (small, big, other)]

        async def answered(visitor: Visitor) -> int:
            return sum([(await visitor.asks()).error is None for _ in range(5)])

        assert [await answered(visitor) for visitor in crowd] == [2, 0, 3]
        for visitor in crowd:
            await visitor.leaves()

    run(story())


def test_tokens_are_guessed_before_and_corrected_after() -> None:
    async def story() -> None:
        words = CompletionRequest(
            system="", messages=QUESTION.messages, parameters=Parameters(max_output_tokens=900)
        )
        usage = Usage(input_tokens=60, output_tokens=40, kind="exact")
        anna = Visitor(Memory(), limited(Service(usage=usage), tpm=1000))
        answers = [(await anna.asks(words)).error for _ in range(12)]

        # Each needs 906 free and costs 100: one fits, and none beside it; unknown usage stays a guess.
        assert [error is None for error in answers] == [True] + [False] * 11
        bert = Visitor(Memory(), limited(Service(), tpm=1000))
        small = CompletionRequest(
            system="", messages=QUESTION.messages, parameters=Parameters(max_output_tokens=94)
        )
        assert [(await bert.asks(small)).error is None for _ in range(12)] == [True] * 10 + [False] * 2
        cora = Visitor(Memory(), limited(Service(usage=usage), tpm=1000))
        roomy = CompletionRequest(
            system="", messages=QUESTION.messages, parameters=Parameters(max_output_tokens=294)
        )
        assert [(await cora.asks(roomy)).error is None for _ in range(12)] == [True] * 8 + [False] * 4
        for visitor in (anna, bert, cora):
            await visitor.leaves()

    run(story())


def test_a_request_larger_than_the_limit_may_go_alone() -> None:
    async def story() -> None:
        anna = Visitor(Memory(), limited(Service(), tpm=100))

        assert [(await anna.asks()).error is None for _ in range(2)] == [True, False]
        await asyncio.sleep(61)
        assert (await anna.asks()).error is None
        await anna.leaves()

    run(story())


def test_a_call_that_nobody_answered_costs_no_tokens() -> None:
    async def story() -> None:
        service = Service()
        service._scripts[:0] = [[of_kind("overloaded", "Later.")]] * 2
        anna = Visitor(Memory(), limited(service, tpm=600))
        await anna.asks()

        assert (await anna.asks()).error is None
        await anna.leaves()

    run(story())


def test_places_of_a_dead_process_fall_free_and_those_of_long_calls_do_not() -> None:
    async def story() -> None:
        service, memory = Service(takes_s=400), Memory()
        dead, alive = (
            Visitor(memory, limited(service, parallel=2)),
            Visitor(memory, limited(service, parallel=2)),
        )
        doomed = asyncio.create_task(dead.asks())
        long = asyncio.create_task(alive.asks())
        await asyncio.sleep(1)
        assert dead.gate._looking is not None
        dead.gate._looking.cancel()  # nobody renews its lease any more
        await asyncio.sleep(LEASE_S)

        third = asyncio.create_task(alive.asks())
        await asyncio.sleep(1)
        assert len(service.came_at) == 3  # the dead one's place
        fourth = await alive.asks()
        assert fourth.error is not None
        assert fourth.error.kind == "limited"
        await asyncio.sleep(100)
        assert (await alive.asks()).error is not None  # both still hold theirs
        for task in (doomed, long, third):
            task.cancel()
        await asyncio.gather(doomed, long, third, return_exceptions=True)
        for visitor in (dead, alive):
            await visitor.leaves()

    run(story())


def test_calls_given_up_at_any_moment_lose_no_place() -> None:
    async def story() -> None:
        service, memory = Service(takes_s=1), Memory()
        crowd = [Visitor(memory, limited(service, parallel=5)) for _ in range(2)]
        chance = random.Random(7)

        async def asks_and_leaves(number: int) -> None:
            asking = asyncio.create_task(crowd[number % 2].asks())
            for _ in range(chance.randrange(12)):
                await asyncio.sleep(0)
            if chance.random() < 0.5:
                await asyncio.sleep(chance.random() * 3)
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

        for _ in range(40):
            await asyncio.gather(*(asks_and_leaves(number) for number in range(25)))

        assert service.most["-"] == 5
        assert sum(len(bucket.held) for bucket in memory.allowances._buckets.values()) == 0
        assert all(not visitor.gate.limits._held for visitor in crowd)
        for visitor in crowd:
            await visitor.leaves()

    run(story())


def test_a_target_that_goes_to_rest_lets_nobody_wait_for_its_places() -> None:
    async def story() -> None:
        service, loop = Service(takes_s=300), asyncio.get_running_loop()
        anna = Visitor(Memory(), limited(service, parallel=1))
        first = asyncio.create_task(anna.asks())
        await asyncio.sleep(1)
        waiting = asyncio.create_task(anna.asks())
        await asyncio.sleep(1)
        now = 1000 + loop.time()
        anna.gate.breakers.all[0].ended(Course(now, now), TimedOut("first", "It hangs."), first_s=30)
        heard = await waiting

        assert heard.error is not None
        assert heard.error.code == "resting"
        assert loop.time() < 2.5
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)
        await anna.leaves()

    run(story())


@pytest.mark.parametrize(
    ("limits", "tokens", "wait_s"),
    [
        (CallLimits(rpm=3), 0, 60.5),
        (CallLimits(tpm=30), 10, 60.5),
        (CallLimits(rpm=4), 0, 0.0),
        (CallLimits(tpm=40), 10, 0.0),
        (CallLimits(rpm=3, tpm=1000), 10, 60.5),
        (CallLimits(tpm=30), 15, 61.5),  # the first second's ten are not enough
    ],
)
def test_it_is_known_how_long_to_wait(limits: CallLimits, tokens: int, wait_s: float) -> None:
    allowances = Allowances()
    for at in (100.2, 101.2, 102.2):
        assert allowances.take([Ask("b", CallLimits(rpm=9, tpm=999), 10)], "h", now=at) == 0

    assert allowances.take([Ask("b", limits, tokens)], "h", now=100.5) == pytest.approx(wait_s, abs=0.01)
