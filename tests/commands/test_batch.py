"""`manage.py batch`: every line answered once, whatever happens in between."""

import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson
import pytest

from chatbot.providers.errors import of_kind
from conversations import batches
from conversations.batches import Batch, Progress, read_lines
from conversations.journal import Journal, NotAJournalError
from conversations.models import Completion
from conversations.requestlines import MOST_LINE_BYTES, Line, read_line
from conversations.trials import Trial
from tests import scale
from tests.commands.conftest import CONFIG, Terminal

ROOT = Path(__file__).resolve().parents[2]


def write(file: Path, lines: Iterable[Any]) -> Path:
    with file.open("wb") as out:
        for line in lines:
            out.write(line if isinstance(line, bytes) else orjson.dumps(line) + b"\n")
    return file


def answers(file: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in file.read_bytes().splitlines()]


@pytest.fixture
def asked(tmp_path: Path) -> Path:
    return tmp_path / "in.jsonl"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "out.jsonl"


def test_each_line_gets_one_answer_with_its_usage_and_cost(
    terminal: Terminal, asked: Path, out: Path
) -> None:
    write(
        asked,
        [
            {"id": "first", "question": "one two"},
            {"question": "three", "system": "Be brief."},
            b"\n",
            {"id": 4, "messages": [
                {"role": "system", "content": "Be kind."}, {"role": "user", "content": "a"},
                {"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]},
        ],
    )  # fmt: skip
    printed = terminal("batch", asked, out, "--parallel", "2")

    assert (printed.exit, printed.out) == (0, "")
    found = {each["line"]: each for each in answers(out)}
    assert {number: (each["id"], each["answer"]) for number, each in found.items()} == {
        1: ("first", "one two"), 2: (2, "three"), 4: (4, "c"),
    }  # fmt: skip
    assert [found[number]["usage"]["input_tokens"] for number in (1, 2, 4)] == [2, 3, 5]
    assert found[1]["cost"] == {"nanos": 5000, "currency": "EUR", "kind": "exact"}
    assert (found[1]["error"], found[1]["complete"], found[1]["model"]) == (None, True, "parrot")
    rows = Completion.objects.all()
    assert {(row.turn, row.status, row.route) for row in rows} == {(None, "completed", "default")}
    assert len(rows) == 3
    assert "3 of 3 lines answered, 0 of them failed." in printed.err
    assert "100%" in printed.err


def test_parameters_reach_the_model() -> None:
    raw = orjson.dumps(
        {
            "question": "x",
            "parameters": {
                "temperature": 0.5, "stop": ["END"], "max_output_tokens": 9, "reasoning_effort": "low",
                "json": {"name": "n", "schema": {"type": "object"}},
            },
        }
    )  # fmt: skip
    request = read_line(raw, 1).request

    assert request is not None
    parameters = request.parameters
    assert (parameters.temperature, parameters.stop, parameters.max_output_tokens) == (0.5, ("END",), 9)
    assert parameters.json is not None


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        (b"nonsense", "is no JSON"),
        (b"[1]", "The line is no object."),
        (b"\xff\xfe", "is no JSON"),
        ({"id": [1], "question": "x"}, "`id` must be a text or a number."),
        ({"id": True, "question": "x"}, "`id` must be"),
        ({}, "needs `question` or `messages`"),
        ({"question": "x", "messages": []}, "and not both"),
        ({"question": " "}, "`question` must be a text that says something."),
        ({"question": 3}, "`question` must be a text"),
        ({"messages": []}, "`messages` must be a list"),
        ({"messages": [{"role": "visitor", "content": "x"}]}, "A message needs a `role`"),
        (
            {"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]},
            "must be the user's",
        ),
        ({"messages": [{"role": "system", "content": "x"}]}, "must be the user's"),
        ({"question": "x", "system": 1}, "`system` must be a text."),
        ({"question": "x", "parameters": [1]}, "`parameters` must be an object."),
        ({"question": "x", "parameters": {"heat": 1}}, "There is no parameter `heat`"),
        (
            {"question": "x", "parameters": {"temperature": "hot"}},
            'The parameter `temperature` cannot be "hot".',
        ),
        ({"question": "x", "parameters": {"temperature": 3}}, "cannot be 3"),
        ({"question": "x", "parameters": {"temperature": True}}, "cannot be true"),
        ({"question": "x", "parameters": {"max_output_tokens": 0}}, "cannot be 0"),
        ({"question": "x", "parameters": {"stop": "END"}}, "cannot be"),
        ({"question": "x", "parameters": {"json": "yes"}}, "cannot be"),
        ({"question": "x", "parameters": {"reasoning_effort": "much"}}, "cannot be"),
        (b'{"question": "' + b"x" * MOST_LINE_BYTES + b'"}', "longer than 16 MB"),
    ],
    ids=lambda value: None if isinstance(value, str) else str(value)[:60],
)
def test_a_line_that_is_no_request_says_why(line: Any, sentence: str) -> None:
    read = read_line(line if isinstance(line, bytes) else orjson.dumps(line), 7)

    assert read.request is None
    assert sentence in read.error


def test_failed_lines_are_answers_too_and_the_command_fails(
    terminal: Terminal, asked: Path, out: Path
) -> None:
    write(asked, [{"question": "fine"}, b"nonsense\n", {"question": "script: fault=auth"}])

    printed = terminal("batch", asked, out)

    found = {each["line"]: each for each in answers(out)}
    assert printed.exit == 1
    assert {number: each["error"] and each["error"]["kind"] for number, each in found.items()} == {
        1: None, 2: "invalid_request", 3: "auth",
    }  # fmt: skip
    assert "3 of 3 lines answered, 2 of them failed." in printed.err
    again = terminal("batch", asked, out)
    assert (again.exit, len(answers(out))) == (1, 3)  # still failed, and not asked again


def test_a_run_goes_on_where_the_last_one_stopped(terminal: Terminal, asked: Path, out: Path) -> None:
    write(asked, [{"id": f"q{number}", "question": f"say {number}"} for number in range(10)])
    terminal("batch", asked, out)
    whole = out.read_bytes().splitlines(keepends=True)
    kept = [whole[7], whole[2], whole[5]]
    out.write_bytes(b"".join(kept) + whole[0][:-20])  # killed in the middle of a line

    printed = terminal("batch", asked, out, "--parallel", "3")

    assert printed.exit == 0
    assert out.read_bytes().startswith(b"".join(kept))
    assert sorted(each["id"] for each in answers(out)) == [f"q{number}" for number in range(10)]
    assert Completion.objects.count() == 10 + 7


def test_the_answers_to_another_file_are_not_gone_on_with(terminal: Terminal, asked: Path, out: Path) -> None:
    terminal("batch", write(asked, [{"id": "a", "question": "x"}]), out)
    write(asked, [{"id": "b", "question": "x"}, {"id": "c", "question": "x"}])
    before = out.read_bytes()

    printed = terminal("batch", asked, out, "--parallel", "1")

    assert printed.exit == 1
    assert "Line 1 of in.jsonl has another id than its answer in out.jsonl" in printed.err
    assert out.read_bytes() == before


@pytest.mark.parametrize(
    "content", [b"hello\n", b'{"line": 0, "id": 1, "error": null}\n', b'{"id": 1}\n', b"[]\n"]
)
def test_a_file_of_something_else_is_left_alone(
    terminal: Terminal, asked: Path, out: Path, content: bytes
) -> None:
    write(asked, [{"question": "x"}])
    out.write_bytes(content)

    printed = terminal("batch", asked, out)

    assert printed.exit == 1
    assert "Line 1 of out.jsonl is no answer of ours." in printed.err
    assert out.read_bytes() == content


async def test_two_processes_do_not_write_one_journal(out: Path) -> None:
    first = Journal(out)

    with pytest.raises(NotAJournalError, match=re.escape("Another process is writing out.jsonl.")):
        Journal(out)

    await first.aclose()
    await Journal(out).aclose()


def test_what_is_not_there_is_one_sentence(terminal: Terminal, out: Path) -> None:
    assert "No such file or directory" in terminal("batch", "/nowhere/in.jsonl", out).err
    assert "has no route `nope`" in terminal("batch", "/nowhere/in.jsonl", out, "--route", "nope").err


def test_an_empty_file_is_done_at_once(terminal: Terminal, asked: Path, out: Path) -> None:
    printed = terminal("batch", write(asked, []), out)

    assert (printed.exit, out.read_bytes()) == (0, b"")


async def answered(out: Path, errors: list[Any]) -> tuple[dict[str, Any], list[float]]:
    """The answer to one line whose tries end in these errors (None: an answer), and the pauses between."""
    pauses: list[float] = []

    async def ask(request: Any) -> Trial:
        error = errors.pop(0)
        return Trial(error=error) if error else Trial(text="Here", is_complete=True)

    async def pause(seconds: float) -> None:
        pauses.append(seconds)

    journal = Journal(out)
    batch = Batch(ask, journal, Progress(1), pause=pause)
    await batch.run(iter([read_line(b'{"question": "x"}', 1)]), parallel=1)
    await journal.aclose()
    return answers(out)[0], pauses


async def test_what_may_pass_is_asked_again_after_a_while(out: Path) -> None:
    errors = [
        of_kind("unavailable", "It rests.", retry_after_s=12), of_kind("limited", "Ours."),
        of_kind("rate_limit", "Theirs.", retry_after_s=3600), None,
    ]  # fmt: skip

    answer, pauses = await answered(out, errors)

    assert answer["answer"] == "Here"
    assert pauses == [12, 2, batches.LONGEST_PAUSE_S]


@pytest.mark.parametrize(
    ("kind", "tries"), [("overloaded", batches.ROUNDS), ("auth", 1), ("content_filter", 1)]
)
async def test_what_does_not_pass_is_given_up(out: Path, kind: Any, tries: int) -> None:
    errors = [of_kind(kind, "No.") for _ in range(9)]

    answer, _ = await answered(out, errors)

    assert answer["error"]["kind"] == kind
    assert 9 - len(errors) == tries


def test_limits_of_ours_fail_no_line(terminal: Terminal, configured: Any, asked: Path, out: Path) -> None:
    configured(CONFIG.replace("said: {kind: scripted}", "said: {kind: scripted, parallel: 2}"))
    write(asked, [{"question": f"script: pieces=2 delay_ms=20 seed={number}"} for number in range(20)])

    assert terminal("batch", asked, out, "--parallel", "10").exit == 0
    assert Counter(each["error"] for each in answers(out)) == {None: 20}


# In a process of its own


class Run:
    """A batch in a process of its own, over a database of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        (directory / "config.yaml").write_text(CONFIG)
        self.env = {
            **os.environ,
            "CHATBOT_VAR": str(directory / "var"),
            "CHATBOT_CONFIG": str(directory / "config.yaml"),
            "DATABASE_URL": f"sqlite:///{directory}/batch.sqlite3",
        }
        subprocess.run([sys.executable, "manage.py", "migrate", "-v0"], cwd=ROOT, env=self.env, check=True)

    def start(self, asked: Path, out: Path, *words: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            [sys.executable, "manage.py", "batch", str(asked), str(out), *words],
            cwd=ROOT, env=self.env, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def to_the_end(self, asked: Path, out: Path, *words: str) -> tuple[int, int]:
        """The exit code, and the most memory it used, in KB."""
        process = self.start(asked, out, *words)
        assert process.stderr is not None
        process.stderr.read()
        _, status, used = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        process.stderr.close()
        assert process.stdout is not None
        process.stdout.close()
        return process.returncode, used.ru_maxrss


def size(file: Path) -> int:
    return file.stat().st_size if file.exists() else 0


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_ended_anyhow_is_gone_on_with(
    tmp_path: Path, asked: Path, out: Path, end: signal.Signals
) -> None:
    run = Run(tmp_path)
    write(asked, [{"question": f"script: pieces=3 delay_ms=20 seed={number}"} for number in range(300)])
    for so_far in (2_000, 20_000):
        process = run.start(asked, out, "--parallel", "4")
        deadline = time.monotonic() + 60
        while size(out) < so_far:
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(end)
        _, err = process.communicate(timeout=60)
        assert process.returncode == (-9 if end is signal.SIGKILL else 130), err.decode()
        assert size(out) >= so_far

    code, _ = run.to_the_end(asked, out, "--parallel", "16")

    assert code == 0
    assert sorted(each["line"] for each in answers(out)) == list(range(1, 301))


def test_a_long_file_needs_no_more_memory_than_a_short_one(tmp_path: Path, out: Path) -> None:
    run, words = Run(tmp_path), "Where is my parcel? " * 4
    used = {}
    for count in (200, scale.count(4_000, 200_000)):
        asked = write(tmp_path / f"{count}.jsonl", ({"id": f"n{n}", "question": words} for n in range(count)))
        code, used[count] = run.to_the_end(asked, tmp_path / f"{count}.out", "--parallel", "32")
        assert code == 0
        assert len(answers(tmp_path / f"{count}.out")) == count
    few, many = used.values()

    assert many - few < 12_000, used  # KB; the answers of the full size are 90 MB


def test_many_marks_are_little_memory_and_a_resumed_file_is_read_line_by_line(out: Path) -> None:
    count = scale.count(20_000, 1_000_000)
    with out.open("wb") as lines:
        for number in range(1, count + 1):
            lines.write(b'{"line":%d,"id":%d,"answer":"","error":null}\n' % (number, number))
    journal = Journal(out)
    asked = write(out.with_name("in.jsonl"), ({"question": "x"} for _ in range(count + 3)))

    left = [line.number for line in read_lines(asked, but=journal)]

    assert (journal.done, journal.failed) == (count, 0)
    assert left == [count + 1, count + 2, count + 3]
    assert journal._marks.itemsize * len(journal._marks) <= 4 * (count + 1)
    os.close(journal._out)


def test_of_two_lines_without_ids_each_is_known_by_its_number() -> None:
    assert [read_line(b'{"question": "x"}', number).id for number in (1, 2)] == [1, 2]
    assert isinstance(read_line(b'{"question": "x"}', 1), Line)
