"""The load generator: one process that plays a plan's tabs and reports. Plan on stdin, report on stdout."""

import asyncio
import contextlib
import gc
import sys
import time
from collections.abc import Iterable

from tests.bench.accounting import Account, percentile
from tests.bench.plan import Plan, Report, Sample
from tests.bench.processes import allow_many_files, machine_busy_s, sample
from tests.bench.script import Script, now_us
from tests.bench.tabs import TABS, Place, Tab

SETTLE_S = 0.5
TICK_S = 0.01
PATIENCE_S = 20.0
OPENING_AT_ONCE = 20


async def play(plan: Plan) -> Report:
    """Open the tabs, ask, wait, and count."""
    warm = await _open_tabs(plan, plan.warm_sockets)
    before_sockets = await _settled(plan) if warm else _samples(plan)
    tabs = await _open_tabs(plan, plan.sockets)
    with_sockets = await _settled(plan)

    account = Account()
    lags_us: list[int] = []
    ticking = asyncio.create_task(_tick(lags_us))
    before_turns = _samples(plan)
    started, own, machine = time.monotonic(), time.process_time(), machine_busy_s()
    if plan.turns:
        spread = plan.stagger_s / plan.sockets
        asking = [_ask(tab, plan, account, at * spread) for at, tab in enumerate(tabs)]
        await asyncio.gather(*asking)
    wall_s, busy_s = time.monotonic() - started, time.process_time() - own
    after_turns, machine_s = _samples(plan), machine_busy_s() - machine
    known_s = busy_s + sum(after_turns[name].cpu_s - before_turns[name].cpu_s for name in plan.watch)
    ticking.cancel()

    await asyncio.sleep(plan.idle_s)
    answered = await asyncio.gather(*(_answers(tab) for tab in tabs))
    dropped = [tab.socket.closed.result() for tab in tabs if tab.socket.closed.done()]
    places = [tab.place for tab in tabs]
    for tab in [*warm, *tabs]:
        tab.socket.close()
    return Report(
        account=account,
        wall_s=wall_s,
        busy=busy_s / wall_s,
        lag_p99_us=percentile(lags_us, 99) if lags_us else 0,
        strangers=max(machine_s - known_s, 0) / wall_s,
        dropped=dropped,
        silent=answered.count(False) - len(dropped),
        trouble=[line for tab in tabs for line in tab.trouble][:20],
        places=places,
        before_sockets=before_sockets,
        with_sockets=with_sockets,
        before_turns=before_turns,
        after_turns=after_turns,
    )


async def _open_tabs(plan: Plan, count: int) -> list[Tab]:
    gate = asyncio.Semaphore(OPENING_AT_ONCE)
    places: tuple[Place, ...] = plan.places or (Place(),)

    async def opened(number: int) -> Tab:
        tab = TABS[plan.dialect]()
        async with gate:
            await tab.open(plan.url, places[number % len(places)])
        return tab

    return await asyncio.gather(*(opened(number) for number in range(count)))


async def _ask(tab: Tab, plan: Plan, account: Account, delay_s: float) -> None:
    await asyncio.sleep(delay_s)
    think_us = int(plan.script.think_ms * 1000)
    for number in range(plan.turns):
        finished = tab.begin(plan.script.question(str(number)))
        ended: Iterable[asyncio.Future[object]] = (finished, tab.socket.closed)  # type: ignore[assignment]
        await asyncio.wait(ended, timeout=_patience_s(plan.script), return_when=asyncio.FIRST_COMPLETED)
        account.take(tab.answer, plan.script.tokens, think_us)
        if tab.answer.final is None:
            break


def _patience_s(script: Script) -> float:
    return script.length_s * 2 + PATIENCE_S


async def _answers(tab: Tab) -> bool:
    if not tab.socket.closed.done():
        with contextlib.suppress(TimeoutError):
            await tab.ping()
            return True
    return False


async def _settled(plan: Plan) -> dict[str, Sample]:
    await asyncio.sleep(SETTLE_S)
    return _samples(plan)


def _samples(plan: Plan) -> dict[str, Sample]:
    return {name: sample(pid) for name, pid in plan.watch.items()}


async def _tick(lags_us: list[int]) -> None:
    while True:
        due_us = now_us() + int(TICK_S * 1e6)
        await asyncio.sleep(TICK_S)
        lags_us.append(now_us() - due_us)


if __name__ == "__main__":
    allow_many_files()
    gc.freeze()
    gc.disable()  # a collection in the middle of a run would count as the subject's latency
    result = asyncio.run(play(Plan.load(sys.stdin.buffer.read())))
    sys.stdout.buffer.write(result.dump())
