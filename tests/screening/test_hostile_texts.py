"""Whatever a rule, an exception, a list or a message is called, a page shows it as text."""

import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from django.test import Client

from conversations import rulebook
from conversations.models import RuleChange, ScreeningRule
from conversations.moderation.rules import Rule, RuleError
from tests.screening.cast import screened_answer

pytestmark = pytest.mark.django_db

ROOT = "/console/moderation/"
ATTACKS = json.loads((Path(__file__).parents[1] / "attacks" / "markdown_xss.json").read_text())["cases"]


class Tags(HTMLParser):
    """Notes which elements there are, with their attributes' names, and what scripts and styles say."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: set[tuple[str, str]] = set()
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found |= {(tag, name) for name, _ in attrs} | {(tag, "")}
        for name, value in attrs:
            if name in {"href", "src", "action", "formaction", "hx-post", "hx-get"}:
                assert re.match(r"[/?#]", value or "/"), (tag, name, value)


def texts() -> list[str]:
    return [case["payload"] for case in ATTACKS]


def tags(client: Client, path: str) -> set[tuple[str, str]]:
    page = client.get(ROOT + path)
    assert page.status_code == 200
    return Tags(page.content.decode()).found


def test_hostile_names_terms_and_exceptions_are_text(mei: Client) -> None:
    def shown() -> set[tuple[str, str]]:
        row = ScreeningRule.objects.order_by("pk").last()
        change = RuleChange.objects.order_by("pk").last()
        assert row is not None
        assert change is not None
        paths = ("rules/", f"rules/{row.pk}/", "rules/history/", f"rules/history/{change.pk}/", "rules/list/")
        return set().union(*(tags(mei, path) for path in paths))

    def put(texts: list[str]) -> None:
        hostile = [
            Rule(
                id=f"{number:03d} {text}"[:110].replace("\0", ""),
                kind="phrase",
                pattern=text.strip().replace("\0", "")[:150] or "x",
                action="block",
                exceptions=(f"{text.strip()[:150] or 'x'} {text.strip()[:20]}".replace("\0", ""),),
            )
            for number, text in enumerate(texts)
        ]
        usable = []
        for each in hostile:
            try:
                rulebook.check(each)
            except RuleError:
                continue
            usable.append(each)
        assert len(usable) > 0.9 * len(texts)
        rulebook.put(usable, by="<script>alert(1)</script>", word_list='"><img src=x onerror=alert(1)>')

    put(["harmless"])
    harmless = shown()
    put(texts())

    assert shown() <= harmless


def test_hostile_messages_are_text(mei: Client) -> None:
    marks = Rule(id="marks", kind="pattern", pattern="[a-z]{3,8}", action="flag")
    rulebook.save(marks, by="ann")
    first = screened_answer("harmless words", [marks]).verdicts.earliest("pk")
    harmless = tags(mei, "") | tags(mei, f"?chosen={first.pk}")

    for text in texts():
        screened_answer(text.replace("\0", ""), [marks])

    for path in ("", "?state=decided", "by-rule/"):
        assert tags(mei, path) <= harmless | tags(mei, "by-rule/")
    found = mei.get(ROOT).context["queue"].rows
    assert len(found) == 50
    harmless |= {("nav", ""), ("nav", "class"), ("nav", "aria-label")}  # to the older ones
    for row in found:
        assert tags(mei, f"?chosen={row.pk}") <= harmless


def test_hostile_texts_are_tried_as_text(mei: Client) -> None:
    sent = {"do": "try", "kind": "pattern", "pattern": "[a-z]{3,8}", "action": "mask", "stages": "output"}

    def tried(text: str) -> set[tuple[str, str]]:
        part = mei.post(f"{ROOT}rules/new/", {**sent, "text": text}, headers={"hx-request": "true"})
        return Tags(part.content.decode()).found

    harmless = tried("harmless words")
    for text in texts():
        assert tried(text) <= harmless | tried("--")


def test_hostile_lists_are_previewed_as_text(mei: Client) -> None:
    def looked_at(text: str) -> set[tuple[str, str]]:
        sent = {"do": "look", "word_list": text[:40], "text": text, "action": "block", "stages": "output"}
        return Tags(mei.post(f"{ROOT}rules/list/", sent).content.decode()).found

    harmless = looked_at("fool\n" + "x" * 300) | looked_at("-\n")
    for text in texts():
        assert looked_at(text) <= harmless
