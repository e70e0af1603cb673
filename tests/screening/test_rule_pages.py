"""The rules as staff keep them: listed, written, tried, tried on the past, taken along."""

import json
from collections.abc import Callable

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from conversations import dryruns, rulebook
from conversations.models import Message, RuleChange, ScreeningRule
from conversations.moderation.rules import Rule
from tests.frame.rows import ended_turn
from tests.screening.cast import rule, screened_answer
from tests.screening.reading import marked, text_of

pytestmark = pytest.mark.django_db

ROOT = "/console/moderation/rules/"
HTMX = {"hx-request": "true"}


def fields(**other: object) -> dict[str, object]:
    """Return what the form of a rule sends."""
    return {
        "do": "live", "name": "gift", "kind": "phrase", "pattern": "gift cards", "action": "block",
        "stages": ["input", "output"], "boundary": "word", "exceptions": "", "word_list": "", **other,
    }  # fmt: skip


def only() -> ScreeningRule:
    return ScreeningRule.objects.get(removed_at=None)


# The list


def test_without_rules_it_says_what_that_means(mei: Client) -> None:
    assert "everything is shown as it is written" in text_of(mei.get(ROOT))


def test_a_rule_shows_how_often_it_was_right(mei: Client) -> None:
    gift = rule("gift", "gift cards")
    screened_answer("Send gift cards.", [gift])

    assert "gift Phrase · gift cards Block Message, Answer, Review 1 0" in text_of(mei.get(ROOT))


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["card", "fool", "gift"]),
        ("q=GIFT", ["gift"]),
        ("q=gift+cards", ["gift"]),
        ("q=%25", []),
        ("action=mask", ["card"]),
        ("kind=detector", ["card"]),
        ("stage=review", ["fool", "gift"]),
        ("stage=input", ["card", "fool", "gift"]),
        ("list=rude", ["fool"]),
        ("state=off", ["fool"]),
        ("state=on", ["card", "gift"]),
        ("action=odd&stage=odd&kind=odd&state=odd", ["card", "fool", "gift"]),
    ],
)
def test_it_is_searched_and_filtered(mei: Client, query: str, names: list[str]) -> None:
    rule("gift", "gift cards")
    rule("card", "payment_card_luhn", "mask", kind="detector", stages=frozenset({"input"}))
    fool = Rule(id="fool", kind="word", pattern="fool", action="flag")
    rulebook.save(fool, by="ann", word_list="rude", is_active=False)

    assert [line.name for line in mei.get(f"{ROOT}?{query}").context["lines"]] == names


def test_many_rules_are_turned_over_page_by_page(mei: Client) -> None:
    terms = [f"w{number:05d}" for number in range(2 * rulebook.PAGE + 5)]
    rulebook.put([Rule(id=term, kind="word", pattern=term, action="block") for term in terms], by="ann")

    names: list[str] = []
    address = ROOT
    with CaptureQueriesContext(connection) as queries:
        while address:
            page = mei.get(address)
            names += [line.name for line in page.context["lines"]]
            previous, address = page.context["previous"], page.context["next"]

    assert names == terms
    assert len(queries) <= 3 * 8
    assert [line.name for line in mei.get(previous).context["lines"]] == terms[50:100]


def test_a_rule_is_switched_off_and_on(mei: Client) -> None:
    rule("gift", "gift cards")
    path = f"{ROOT}{only().pk}/switch/"

    part = mei.post(path, {"is_active": "off"}, headers=HTMX)
    assert 'aria-checked="false"' in part.content.decode()
    assert not only().is_active

    assert mei.post(path, {"is_active": "on"}).status_code == 302
    assert only().is_active
    assert [change.by for change in RuleChange.objects.order_by("pk")] == ["ann", "mei", "mei"]


# One rule


def test_a_rule_is_made_and_is_in_force(mei: Client) -> None:
    page = mei.post(f"{ROOT}new/", fields(exceptions="gift cards shop\n\n gift cards desk "), follow=True)

    assert "Saved. It is in force everywhere within seconds." in text_of(page)
    row = only()
    assert (row.name, row.stages, row.exceptions) == (
        "gift",
        ["input", "output"],
        ["gift cards shop", "gift cards desk"],
    )
    rulebook.forget()
    assert rulebook.current().screen("Send gift cards", "output").is_blocked


def test_it_is_kept_at_rest_and_put_live_later(mei: Client) -> None:
    mei.post(f"{ROOT}new/", fields(do="rest"))
    assert not only().is_active

    mei.post(f"{ROOT}{only().pk}/", fields(do="live", name="", pattern="gift card", action="flag"))

    row = only()
    assert (row.name, row.pattern, row.action, row.is_active) == ("gift", "gift card", "flag", True)


def test_it_is_taken_out_and_stays_in_the_history(mei: Client) -> None:
    mei.post(f"{ROOT}new/", fields())
    pk = only().pk

    assert mei.post(f"{ROOT}{pk}/", fields(do="remove")).headers["Location"] == ROOT

    assert rulebook.kept() == []
    assert mei.get(f"{ROOT}{pk}/").status_code == 404
    text = text_of(mei.get(f"{ROOT}history/?rule=gift"))
    assert "gift taken out mei" in text
    text = text_of(mei.get(f"{ROOT}history/{RuleChange.objects.latest('pk').pk}/"))
    assert "gift Taken out Kind Phrase What is looked for gift cards" in text


def test_a_change_shows_both_sides(mei: Client) -> None:
    rule("gift", "gift cards")
    mei.post(f"{ROOT}{only().pk}/", fields(pattern="vouchers"))

    page = mei.get(f"{ROOT}history/{RuleChange.objects.latest('pk').pk}/").content.decode()

    assert "<del>gift cards</del> <ins>vouchers</ins>" in page
    assert "<del>Message, Answer, Review</del> <ins>Message, Answer</ins>" in page
    assert "Phrase" not in page


MISTAKES: list[tuple[dict[str, object], str, str]] = [
    ({"name": ""}, "name", "required"),
    ({"name": "taken"}, "name", "already a rule"),
    ({"pattern": "  "}, "pattern", "empty"),
    ({"pattern": "x" * 300}, "pattern", "200"),
    ({"kind": "pattern", "pattern": "a+"}, "pattern", "any length"),
    ({"kind": "pattern", "pattern": "(a"}, "pattern", "never closes"),
    ({"kind": "pattern", "pattern": "(?=a)"}, "pattern", "not supported"),
    ({"kind": "detector", "detector": "shoe_size"}, "detector", "not one of"),
    ({"stages": []}, "stages", "at least one place"),
    ({"exceptions": "vouchers"}, "exceptions", "does not contain the term"),
    ({"exceptions": "\n".join(f"gift cards {n}" for n in range(300))}, "exceptions", "200 exceptions"),
    ({"pattern": "a\0b"}, "pattern", "Null"),
]


@pytest.mark.parametrize(("wrong", "field", "said"), MISTAKES)
def test_a_mistake_stands_at_its_field_and_nothing_is_lost(
    mei: Client, wrong: dict[str, object], field: str, said: str
) -> None:
    rule("taken", "something")

    page = mei.post(f"{ROOT}new/", fields(**wrong))

    assert page.status_code == 200
    errors = page.context["form"].errors
    assert list(errors) == [field]
    assert said in errors[field][0]
    assert f'id="{field}-wrong"' in page.content.decode()
    assert "The rule was not saved." in text_of(page)
    assert len(rulebook.kept()) == 1


# The test box


def test_a_text_shows_what_it_would_do(mei: Client) -> None:
    rule("card", "payment_card_luhn", "mask", kind="detector")
    text = "Send gift cards or 4242 4242 4242 4242."

    part = mei.post(f"{ROOT}new/", fields(do="try", name="", text=text, action="flag"), headers=HTMX)

    assert marked(part) == ["gift cards"]
    body = part.content.decode()
    assert "Send gift cards or ▮▮▮." in body
    assert "Masked" in body
    assert "This rule" in body
    assert "<html" not in body
    assert [row.name for row in rulebook.kept()] == ["card"]


def test_the_edited_rule_takes_the_place_of_its_old_self(mei: Client) -> None:
    rule("gift", "gift cards")

    part = mei.post(
        f"{ROOT}{only().pk}/", fields(do="try", pattern="vouchers", text="Send gift cards."), headers=HTMX
    )

    assert "No rule finds anything in it." in part.content.decode()


def test_each_stage_has_its_own_rules(mei: Client) -> None:
    def tried(stage: str) -> str:
        sent = fields(do="try", stages=["input"], text="Send gift cards.", stage=stage)
        return mei.post(f"{ROOT}new/", sent, headers=HTMX).content.decode()

    assert "Blocked" in tried("input")
    assert "Passes" in tried("output")


def test_a_rule_that_cannot_be_used_says_why(mei: Client) -> None:
    sent = fields(do="try", kind="pattern", pattern="a+", text="aaa")

    assert "any length" in mei.post(f"{ROOT}new/", sent, headers=HTMX).content.decode()


def test_it_works_without_scripts(mei: Client) -> None:
    page = mei.post(f"{ROOT}new/", fields(do="try", text="Send gift cards."))

    assert "<html" in page.content.decode()
    assert marked(page) == ["gift cards"]
    assert 'value="gift cards"' in page.content.decode()


# The dry run


@pytest.fixture
def past(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Have so many conversations, every third of which speaks of gift cards."""
    monkeypatch.setattr(dryruns, "_READ", 4)

    def have(count: int) -> None:
        for number in range(count):
            turn = ended_turn()
            if number % 3 == 0:
                Message.objects.filter(turn=turn).update(
                    text="", withheld="Send gift cards.", status="blocked"
                )

    return have


def test_a_dry_run_counts_and_shows_examples(mei: Client, past: Callable[[int], None]) -> None:
    past(7)

    page = mei.post(f"{ROOT}new/", fields(do="dry", wanted="1000"), headers=HTMX)

    assert "3 of the last 14 messages would be hit (21.4 %)." in text_of(page)
    assert marked(page) == ["gift cards"] * 3
    assert rulebook.kept() == []


def test_it_goes_on_where_it_stopped(
    mei: Client, past: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    past(7)
    monkeypatch.setattr(dryruns, "_BATCH_S", 0.0)
    state: dict[str, object] = {}
    steps = 0
    while True:
        run = mei.post(f"{ROOT}new/", fields(do="dry", wanted="1000", **state), headers=HTMX).context[
            "dry_run"
        ]
        steps += 1
        if not run.before:
            break
        state = {"before": run.before, "looked_at": run.looked_at, "hits": run.hits, "ids": run.ids}

    assert (run.looked_at, run.hits, len(run.examples)) == (14, 3, 3)
    assert steps == 4


def test_it_looks_at_no_more_than_was_asked_for(past: Callable[[int], None]) -> None:
    past(7)
    gift = Rule(id="gift", kind="phrase", pattern="gift cards", action="block")

    assert dryruns.step([gift], at_most=6).looked_at == 6
    assert dryruns.step([gift], at_most=6).before == ""
    assert dryruns.step([gift], examples=1).hits == 3
    assert len(dryruns.step([gift], examples=1).examples) == 1


def test_only_what_the_rule_is_for_is_read(past: Callable[[int], None]) -> None:
    past(3)
    stage = frozenset({"input"})
    asked = Rule(id="parcel", kind="word", pattern="parcel", action="flag", stages=stage)  # type: ignore[arg-type]

    done = dryruns.step([asked])

    assert (done.looked_at, done.hits) == (3, 3)


# Lists


def listed(do: str = "look", /, **other: object) -> dict[str, object]:
    """Return what the form of a list sends."""
    text = "fool\nblockhead\n"
    return {"do": do, "word_list": "rude", "text": text, "action": "block", "stages": ["output"], **other}


def put_live(client: Client, **other: object) -> object:
    """Look at a list and put it live, as a reader does."""
    page = client.post(f"{ROOT}list/", listed(**other))
    seen = page.context["seen"]
    return client.post(
        f"{ROOT}list/", listed(**{**other, "do": "live", "seen": seen, "file": ""}), follow=True
    )


def test_a_list_is_looked_at_before_anything_is_done(mei: Client) -> None:
    page = mei.post(f"{ROOT}list/", listed())

    assert "Made 2" in text_of(page)
    assert rulebook.kept() == []

    put_live(mei)

    assert [row.pattern for row in rulebook.kept(word_list="rude")] == ["blockhead", "fool"]


def test_a_list_is_added_to_or_replaced(mei: Client) -> None:
    put_live(mei)
    put_live(mei, text="ninny")
    assert len(rulebook.kept(word_list="rude")) == 3

    page = mei.post(f"{ROOT}list/", listed(text="ninny\nnitwit", replaces="on"))
    text = text_of(page)
    assert "Made 1 nitwit" in text
    assert "Taken out 2 blockhead fool" in text
    assert "As they are 1 ninny" in text

    put_live(mei, text="ninny\nnitwit", replaces="on")
    assert [row.pattern for row in rulebook.kept(word_list="rude")] == ["ninny", "nitwit"]


def test_what_changed_meanwhile_is_looked_at_again(mei: Client) -> None:
    seen = mei.post(f"{ROOT}list/", listed()).context["seen"]
    rule("gift", "gift cards")

    page = mei.post(f"{ROOT}list/", listed("live", seen=seen))

    assert "The rules have changed meanwhile." in text_of(page)
    assert [row.name for row in rulebook.kept()] == ["gift"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030"])
def test_a_file_is_read_in_its_encoding(mei: Client, encoding: str) -> None:
    file = SimpleUploadedFile("words.txt", "笨蛋\r\n# 备注\r\n\r\n混蛋\r\n".encode(encoding))

    page = mei.post(f"{ROOT}list/", listed(text="", file=file))

    assert "Made 2 笨蛋 混蛋" in text_of(page)


def test_a_table_has_its_exceptions(mei: Client) -> None:
    file = SimpleUploadedFile("words.csv", 'term,exceptions\n去死,去死皮,去死角\n"a, b"\n'.encode())
    page = mei.post(f"{ROOT}list/", listed(text="", file=file))
    sent = listed("live", seen=page.context["seen"], text=page.context["preview"]["text"], is_table="on")

    mei.post(f"{ROOT}list/", sent)

    kept = {row.pattern: row for row in rulebook.kept()}
    assert kept["去死"].exceptions == ["去死皮", "去死角"]
    assert kept["去死"].boundary == "none"
    assert "a, b" in kept


@pytest.mark.parametrize(
    ("wrong", "field", "said"),
    [
        ({"text": " \n"}, "text", "Paste the terms"),
        ({"text": "\u200b\n"}, "text", "No line"),
        ({"word_list": ""}, "word_list", "required"),
        ({"stages": []}, "stages", "at least one place"),
        ({"file": SimpleUploadedFile("a.txt", b"\xff\xfe\xff" * 9)}, "file", "neither UTF-8"),
        ({"file": SimpleUploadedFile("a.txt", b"x" * (1024 * 1024 + 1))}, "file", "1,024 KiB"),
    ],
)
def test_a_list_that_is_none_says_why(mei: Client, wrong: dict[str, object], field: str, said: str) -> None:
    page = mei.post(f"{ROOT}list/", listed(**wrong))

    assert said in page.context["form"].errors[field][0]
    assert f'id="{field}-wrong"' in page.content.decode()


def test_lines_that_cannot_be_used_are_named_and_left_out(mei: Client) -> None:
    page = mei.post(f"{ROOT}list/", listed(text=f"fool\n{'x' * 300}\nFOOL\n"))

    text = text_of(page)
    assert "Made 1 fool" in text
    assert "1 line cannot be used and is left out: Line 2:" in text
    assert "300 characters long" in text


def test_the_same_list_again_does_nothing(mei: Client) -> None:
    put_live(mei)

    page = mei.post(f"{ROOT}list/", listed())

    assert "there is nothing to do" in text_of(page)
    assert "Put live" not in text_of(page)


def test_rules_are_taken_along(mei: Client) -> None:
    put_live(mei)
    rule("gift", "gift cards")

    everything = mei.get(f"{ROOT}export/")
    terms = mei.get(f"{ROOT}export/?format=txt&list=rude")

    assert {row["id"] for row in json.loads(everything.content)["rules"]} >= {"gift", "rude: fool"}
    assert everything["Content-Disposition"] == 'attachment; filename="rules.json"'
    assert terms.content.decode() == "blockhead\nfool\n"
    assert mei.get(f"{ROOT}export/?format=exe").status_code == 404
