"""Comparing the books with a bill: by request id, else by time and tokens; and telling every difference."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest

from conversations import billing, reconciliation
from conversations.reconciliation import NotAnExportError
from tests.commands.conftest import Terminal
from tests.money import books
from tests.money.books import UNKNOWN, end

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def book(number: int, *, at_s: float = 0, **said: Any) -> Any:
    """Book a call that was made so many seconds after noon."""
    turn = books.turn()
    row = end(
        books.call(turn, started_at=NOON + timedelta(seconds=at_s)),
        **{"request_id": f"req_{number}", "total_ms": 1500, **said},
    )
    billing.settle([row])
    return row


def bill(*rows: dict[str, Any]) -> bytes:
    return orjson.dumps(
        [
            {"request_id": "", "created": NOON.timestamp(), "input_tokens": 800, "output_tokens": 100} | row
            for row in rows
        ]
    )


def compared(terminal: Terminal, tmp_path: Path, content: bytes, *words: str) -> Any:
    file = tmp_path / "usage"
    file.write_bytes(content)
    return terminal("ledger", "reconcile", file, "--json", *words)


@pytest.mark.django_db
def test_calls_are_found_by_their_request_ids(terminal: Terminal, tmp_path: Path) -> None:
    for number in range(3):
        book(number)

    printed = compared(terminal, tmp_path, bill(*({"request_id": f"req_{number}"} for number in range(3))))

    assert printed.exit == 0
    assert printed.json == {"billed": 3, "agree": 3, "counts": {}, "corrected": 0, "differences": []}


@pytest.mark.django_db
def test_without_one_by_their_tokens_and_time(terminal: Terminal, tmp_path: Path) -> None:
    first = book(1, request_id="", input_tokens=10, at_s=0)
    second = book(2, request_id="", input_tokens=10, at_s=30)
    stopped = book(3, request_id="", **UNKNOWN, status="cancelled", at_s=40)
    times = [NOON.timestamp() + seconds for seconds in (29, 2, 41)]

    printed = compared(
        terminal, tmp_path,
        bill(
            {"created": times[0], "input_tokens": 10}, {"created": times[1], "input_tokens": 10},
            {"created": times[2]},
        ),
    )  # fmt: skip

    assert (printed.exit, printed.json["agree"], printed.json["counts"]) == (0, 2, {"estimate": 1})
    assert printed.json["differences"][0]["completion"] == stopped.pk
    assert first.pk != second.pk


@pytest.mark.django_db
def test_every_difference_is_told_and_ends_with_1(terminal: Terminal, tmp_path: Path) -> None:
    book(1, at_s=0)
    other = book(2, at_s=10)
    extra = book(3, at_s=20)
    book(4, at_s=30)

    printed = compared(
        terminal, tmp_path,
        bill(
            {"request_id": "req_1"}, {"request_id": "req_2", "output_tokens": 101},
            {"request_id": "req_9", "created": NOON.timestamp() + 15},
            {"request_id": "req_4", "created": NOON.timestamp() + 30},
        ),
    )  # fmt: skip

    assert printed.exit == 1
    assert printed.json["counts"] == {"missing": 1, "tokens": 1, "extra": 1}
    found = {each["kind"]: each for each in printed.json["differences"]}
    assert found["missing"]["billed"]["request_id"] == "req_9"
    assert (found["tokens"]["completion"], found["extra"]["completion"]) == (other.pk, extra.pk)


@pytest.mark.django_db
def test_what_was_given_back_is_not_expected_on_a_bill(terminal: Terminal, tmp_path: Path) -> None:
    book(1, at_s=0)
    book(2, at_s=5, **UNKNOWN, status="failed", error="rate_limit")
    book(3, at_s=10)

    printed = compared(
        terminal,
        tmp_path,
        bill({"request_id": "req_1"}, {"request_id": "req_3", "created": NOON.timestamp() + 10}),
    )

    assert (printed.exit, printed.json["agree"]) == (0, 2)


FORMS = [
    b"request_id,created_at,model,input_tokens,output_tokens\nreq_1,2026-11-20T12:00:00Z,gpt-5-mini,800,100\n",
    b"\xef\xbb\xbfRequest ID,Timestamp,Model,Prompt Tokens,Completion Tokens\r\n"
    b"req_1,1795176000,gpt-5-mini,800,100\r\n",
    b'[{"id": "req_1", "created": 1795176000000, "usage": {"prompt_tokens": 800, "completion_tokens": 100}}]',
    b'{"object": "list", "data": [{"id": "req_1", "input_tokens": 800, "output_tokens": 100}]}',
    b'{"id": "req_1", "input_tokens": 800, "output_tokens": 100}\n'
    b'{"id": "req_2", "input_tokens": 1, "output_tokens": 1}\n',
]


@pytest.mark.parametrize("content", FORMS)
def test_exports_of_many_shapes_are_read(content: bytes) -> None:
    first = reconciliation.read(content)[0]

    assert (first.request_id, first.input_tokens, first.output_tokens) == ("req_1", 800, 100)
    assert first.at in (None, NOON)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"\xff\xfe",
        b"{",
        b"[1]",
        b"a,b\n1,2\n",
        b"id,input_tokens\nx,many\n",
        b"at,input_tokens\nnow,1\n",
    ],
)
def test_what_is_no_export_is_told_in_a_sentence(content: bytes) -> None:
    with pytest.raises(NotAnExportError):
        reconciliation.read(content)
