"""A change made outside of the web processes reaches the tabs of all of them."""

import asyncio

from django.conf import settings

from chatbot.state import State
from conversations import notices
from conversations.live import Live
from tests.redis_server import RedisServer


class Tab:
    """A socket that is only there."""

    locale = "en"


async def test_every_web_process_hears_of_a_changed_message(redis_server: RedisServer) -> None:
    heard: asyncio.Queue[tuple[str, str, str, str]] = asyncio.Queue()
    states = [State(settings.REDIS_URL) for _ in range(2)]
    houses: list[Live] = []
    for number, state in enumerate(states):
        name = f"web-{number}"

        async def hear(channel: str, what: str, which: str, name: str = name) -> None:
            heard.put_nowait((name, channel, what, which))

        houses.append(Live(state, name, hear))
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        running = [group.create_task(live.run()) for live in houses]
        for live in houses:
            await live.watch("conversation", Tab())  # type: ignore[arg-type]
            await live.listens(5.0)

        was_told = await asyncio.to_thread(notices.message_changed, "conversation", "message")
        said = {await heard.get(), await heard.get()}
        for task in running:
            task.cancel()
    for live, state in zip(houses, states, strict=True):
        await live.aclose()
        await state.aclose()

    assert was_told
    assert said == {(f"web-{n}", "conversation", "changed", "message") for n in range(2)}


async def test_without_redis_it_says_so(redis_server: RedisServer) -> None:
    redis_server.close()

    assert not await asyncio.to_thread(notices.message_changed, "conversation", "message")
