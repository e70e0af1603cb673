"""`manage.py ask`: one question from the terminal, booked as a test."""

from conversations.models import Completion
from tests.commands.conftest import Terminal


def test_the_answer_is_printed_and_booked(terminal: Terminal) -> None:
    printed = terminal("ask", "Where is my parcel?")

    assert (printed.exit, printed.out) == (0, "Where is my parcel?\n")
    assert "tokens 4 in, 1 out (exact) · cost 0.000008 EUR · finish stop" in printed.err
    row = Completion.objects.get()
    assert (row.turn, row.status, row.route, row.target) == (None, "completed", "default", "parrot")
    assert (row.provider, row.model, row.finish, row.usage_kind) == ("said", "echo-1", "stop", "exact")
    assert (row.input_tokens, row.output_tokens, row.number) == (4, 1, 1)
    assert None not in (row.first_delta_ms, row.total_ms)


def test_as_json_it_is_one_object_and_nothing_else(terminal: Terminal) -> None:
    said = terminal("ask", "Hello", "--json").json

    assert said | {"first_delta_ms": 0, "total_ms": 0} == {
        "text": "Hello",
        "reasoning": "",
        "finish": "stop",
        "complete": True,
        "usage": {
            "input_tokens": 1,
            "output_tokens": 1,
            "cached_input_tokens": None,
            "reasoning_tokens": None,
            "kind": "exact",
        },
        "cost": {"nanos": 3500, "currency": "EUR", "kind": "exact"},
        "error": None,
        "attempts": [{"model": "parrot", "error": None}],
        "first_delta_ms": 0,
        "total_ms": 0,
    }


def test_without_an_answer_it_says_why_and_exits_with_1(terminal: Terminal) -> None:
    printed = terminal("ask", "Hello", "--route", "doomed", "--json")

    assert printed.exit == 1
    assert printed.json["error"]["kind"] == "unavailable"
    assert printed.json["attempts"] == [{"model": "lost", "error": "unavailable"}] * 2
    assert [(row.status, row.error) for row in Completion.objects.all()] == [("failed", "unavailable")] * 2
    assert terminal("ask", "Hello", "--route", "dead", "--json").json["error"]["kind"] == "not_configured"


def test_an_answer_that_broke_off_keeps_its_text(terminal: Terminal) -> None:
    printed = terminal("ask", "script: pieces=5 fault=cut at=2", "--json")

    assert (printed.exit, printed.json["complete"], printed.json["finish"]) == (1, False, None)
    assert printed.json["text"].count(":") == 2
    assert printed.json["attempts"] == [{"model": "parrot", "error": "incomplete_stream"}]


def test_a_name_that_is_not_there_is_told(terminal: Terminal) -> None:
    assert "has no route `nope`; it has default, mixed" in terminal("ask", "x", "--route", "nope").err
    assert "has no model `nope`; it has local, parrot" in terminal("ask", "x", "--model", "nope").err
    assert terminal("ask", " ").exit == 1
