"""One child process: kept alive, and stopped."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from chatbot import children
from chatbot.children import Child, NotReadyError

ROOT = Path(__file__).resolve().parents[2]
SLEEPER = [sys.executable, "-c", "import signal; signal.pause()"]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(children, "FIRST_WAIT_S", 0.01)


def lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.exists() else []


async def until_lines(path: Path, count: int) -> None:
    async with asyncio.timeout(30):
        while len(lines(path)) < count:
            await asyncio.sleep(0.02)


async def test_what_ends_is_started_again_ever_more_slowly(tmp_path: Path) -> None:
    times = tmp_path / "times"
    child = Child(
        name="clock",
        argv=[sys.executable, "-c", f"import time; open({str(times)!r}, 'a').write(f'{{time.time()}}\\n')"],
    )
    await child.start()
    await until_lines(times, 6)
    await child.stop()

    moments = [float(line) for line in lines(times)]
    assert moments[5] - moments[4] >= 0.16
    assert moments[4] - moments[0] >= 0.01 + 0.02 + 0.04 + 0.08


async def test_what_was_stopped_is_not_started_again(tmp_path: Path) -> None:
    starts = tmp_path / "starts"
    program = f"import signal; open({str(starts)!r}, 'a').write('started\\n'); signal.pause()"
    child = Child(name="sleeper", argv=[sys.executable, "-c", program])
    await child.start()
    await until_lines(starts, 1)
    await child.stop()
    await asyncio.sleep(0)

    assert lines(starts) == ["started"]
    assert asyncio.all_tasks() == {asyncio.current_task()}, "Nobody is left to start it again."


async def test_what_does_not_end_is_killed_with_all_it_started(tmp_path: Path) -> None:
    told = tmp_path / "told"
    program = (
        "import signal, subprocess, sys; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
        f"own = subprocess.Popen({SLEEPER!r}); open({str(told)!r}, 'w').write(f'{{own.pid}}\\n'); own.wait()"
    )
    child = Child(name="deaf", argv=[sys.executable, "-c", program], stop_limit_s=0.05)
    await child.start()
    await until_lines(told, 1)
    await child.stop()

    async with asyncio.timeout(30):
        while psutil.pid_exists(pid := int(lines(told)[0])):
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                break
            await asyncio.sleep(0.02)


async def test_what_ends_before_it_answers_is_said() -> None:
    child = Child(name="lamp", argv=[sys.executable, "-c", "exit(3)"], is_ready=lambda: False)
    await child.start()

    with pytest.raises(NotReadyError, match=r"^The lamp ended with 3 before it answered\.$"):
        await child.until_ready()
    await child.stop()


async def test_what_does_not_answer_in_time_is_said() -> None:
    child = Child(name="lamp", argv=SLEEPER, is_ready=lambda: False, ready_limit_s=0.1)
    await child.start()

    with pytest.raises(NotReadyError, match=r"^The lamp did not answer within 0\.1 s\.$"):
        await child.until_ready()
    await child.stop()


async def test_a_child_hears_no_ctrl_c_of_ours() -> None:
    child = Child(name="sleeper", argv=SLEEPER, death_signal=signal.SIGTERM)
    await child.start()
    [process] = psutil.Process().children()

    assert process.pid == os.getsid(process.pid)
    await child.stop()


def test_a_wish_that_comes_after_the_parents_end_is_heard_too() -> None:
    asked = subprocess.run(
        [sys.executable, "-c", "from chatbot import children; children.die_with(1)"], cwd=ROOT
    )

    assert asked.returncode == -signal.SIGKILL
