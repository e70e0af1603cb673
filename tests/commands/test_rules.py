"""`manage.py rules`: rules come in from a file, go out again, and are ours where nothing else is said."""

import io
import json
import sys
from pathlib import Path

import pytest

from conversations import rulebook
from conversations.models import RuleChange, ScreeningRule
from tests.commands.conftest import Terminal

SAMPLE = Path(__file__).parents[1] / "attacks" / "moderation.json"


@pytest.fixture(autouse=True)
def _rules_are_new() -> None:
    rulebook.forget()


def written(path: Path, *rows: object) -> str:
    path.write_text(json.dumps({"rules": rows}))
    return str(path)


def word(name: str, pattern: str = "jackpot", **more: object) -> dict[str, object]:
    return {"id": name, "kind": "word", "pattern": pattern, "action": "block", **more}


def test_rules_come_in_and_go_out_again(terminal: Terminal, tmp_path: Path) -> None:
    count = len(json.loads(SAMPLE.read_text())["rules"])

    came_in = terminal("rules", "import", str(SAMPLE))
    out = tmp_path / "rules.json"
    gone_out = terminal("rules", "export", str(out))
    again = terminal("rules", "import", str(out), "--json")

    assert (came_in.exit, came_in.out) == (0, "")
    assert f"{count} made" in came_in.err
    assert (gone_out.exit, gone_out.out) == (0, "")
    assert again.json == {"made": 0, "changed": 0, "taken_out": 0, "unchanged": count}
    assert RuleChange.objects.get().by == "manage.py rules"


def test_what_came_in_is_in_force(terminal: Terminal) -> None:
    terminal("rules", "import", str(SAMPLE))

    assert rulebook.current().screen("Win the j a c k p o t", "output").is_blocked


def test_the_terminal_is_a_file_too(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(SAMPLE.read_bytes())))

    assert terminal("rules", "import", "-").exit == 0
    assert {row["id"] for row in terminal("rules", "export", "-").json["rules"]} >= {"E1", "P3"}


def test_a_list_is_replaced_and_the_rest_stays(terminal: Terminal, tmp_path: Path) -> None:
    terminal("rules", "import", written(tmp_path / "a.json", word("other")))
    terminal(
        "rules", "import", written(tmp_path / "b.json", word("x", "xxx"), word("y", "yyy")), "--list", "rude"
    )

    done = terminal(
        "rules",
        "import",
        written(tmp_path / "c.json", word("y", "yyy")),
        "--list",
        "rude",
        "--replace",
        "--json",
    )

    assert done.json == {"made": 0, "changed": 0, "taken_out": 1, "unchanged": 1}
    assert [row.name for row in rulebook.kept()] == ["other", "y"]
    assert [row["id"] for row in terminal("rules", "export", "-", "--list", "rude").json["rules"]] == ["y"]


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([word("fine"), word("endless", "a+", kind="pattern")], "`endless`"),
        ([word("fine"), word("odd", action="explode")], "`odd`"),
        ([word("twice"), word("twice", "other")], "`twice`"),
        ([word("fine"), "no object"], "Rule 2"),
        ([word("nul", "a\0b")], "U+0000"),
        ([word("n" * 121)], "120"),
        ([word("long", "x" * 1001)], "1000"),
    ],
)
def test_a_mistake_names_its_rule_and_nothing_is_changed(
    terminal: Terminal, tmp_path: Path, rows: list[object], said: str
) -> None:
    done = terminal("rules", "import", written(tmp_path / "rules.json", *rows))

    assert done.exit == 1
    assert said in done.err
    assert not ScreeningRule.objects.exists()


@pytest.mark.parametrize(
    ("text", "said"),
    [("{", "not JSON"), ("[]", '{"rules": [...]}'), ('{"rules": 7}', '{"rules": [...]}')],
)
def test_a_file_that_is_none_is_refused(terminal: Terminal, tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "rules.json"
    file.write_text(text)

    done = terminal("rules", "import", str(file))

    assert (done.exit, said in done.err) == (1, True)


def test_a_missing_file_or_list_is_told(terminal: Terminal, tmp_path: Path) -> None:
    assert "cannot be read" in terminal("rules", "import", str(tmp_path / "none.json")).err
    assert "cannot be written" in terminal("rules", "export", str(tmp_path / "no" / "folder.json")).err
    assert terminal("rules", "export", "-", "--list", "none").exit == 1
    assert terminal("rules", "import").exit == 1
    assert terminal("rules", "import", "x.json", "--shipped").exit == 1
    assert terminal("rules", "import", "--shipped", "--replace").exit == 1


def test_the_shipped_rules_hide_data_and_let_the_shop_speak(terminal: Terminal) -> None:
    assert terminal("rules", "import", "--shipped").exit == 0
    rules = rulebook.current()

    asked = (
        "I am ann@home.example, +1 415 555 2671, card 4242 4242 4242 4242. The lid is 去死皮 and idiot-proof."
    )
    assert "ann" not in rules.screen(asked, "input").masked
    assert "4242" not in rules.screen(asked, "input").masked
    assert not rules.screen(asked, "input").is_blocked
    said = "Write to help@northwind.example or call +1 415 555 2671."
    assert rules.screen(said, "output").findings == ()
    assert rules.screen("You idiot", "output").is_blocked
    assert rules.screen("您真是个混蛋", "output").is_blocked
    assert [each.rule.action for each in rules.screen("You idiot", "input").findings] == ["flag"]


def test_the_demo_loads_them_once(terminal: Terminal) -> None:
    terminal("demo")
    assert rulebook.kept()
    rulebook.remove([row.name for row in rulebook.kept()], by="ann")

    terminal("demo")

    assert rulebook.kept() == []
