"""What each role may do: in the table, and on every page of the console."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver

from conversations import rulebook, staff
from conversations.models import Budget, RuleChange, ScreeningRule, Turn, Verdict
from conversations.rights import RIGHTS, WITHOUT_ROLE, Right, Role, may, roles_of
from tests.money import books
from tests.screening.cast import rule, screened_answer

pytestmark = pytest.mark.django_db

ALL = ("author", "publisher", "reviewer", "agent", "administrator", "superuser", "without a role")
NOBODY_ELSE = ("administrator", "superuser")
TRANSCRIPTS = ("reviewer", "agent", "without a role", *NOBODY_ELSE)
VERDICTS = ("reviewer", "without a role", *NOBODY_ELSE)
MONEY = ("publisher", *NOBODY_ELSE)
STRANGERS = ("visitor", "outsider")


@dataclass(frozen=True)
class Row:
    """Who may read a page, and who may send it its form; None where it has none."""

    read: tuple[str, ...] | None
    write: tuple[str, ...] | None = None
    form: dict[str, str] = field(default_factory=dict)


TABLE: dict[str, Row] = {
    "console": Row(ALL),
    "audit": Row(NOBODY_ELSE),
    "turn": Row(TRANSCRIPTS),
    "money": Row(MONEY),
    "money-calls": Row(MONEY),
    "money-csv": Row(MONEY),
    "money-statement": Row(MONEY),
    "money-budgets": Row(MONEY, NOBODY_ELSE),
    "money-budget": Row(MONEY, NOBODY_ELSE),
    "money-prices": Row(MONEY, NOBODY_ELSE),
    "money-rates": Row(MONEY, NOBODY_ELSE),
    "moderation": Row(VERDICTS),
    "verdict": Row(None, VERDICTS, {"decision": "upheld"}),
    "verdict-reopen": Row(None, VERDICTS),
    "verdicts-by-rule": Row(VERDICTS),
    "rules": Row(VERDICTS),
    "rule-new": Row(NOBODY_ELSE, NOBODY_ELSE, {"do": "live"}),
    "rule": Row(VERDICTS, NOBODY_ELSE, {"do": "rest"}),
    "rule-switch": Row(None, NOBODY_ELSE),
    "rule-list": Row(NOBODY_ELSE, NOBODY_ELSE),
    "rules-export": Row(VERDICTS),
    "rules-history": Row(VERDICTS),
    "rules-change": Row(VERDICTS),
}


def addresses() -> Iterator[tuple[str, str]]:
    """Yield the name and the pattern of every page under /console/."""

    def below(patterns: list[Any], before: str) -> Iterator[tuple[str, str]]:
        for each in patterns:
            path = before + str(each.pattern)
            if isinstance(each, URLResolver):
                yield from below(each.url_patterns, path)
            elif isinstance(each, URLPattern) and path.startswith("console/"):
                yield each.name or "", "/" + path

    yield from below(get_resolver().url_patterns, "")


PAGES = dict(addresses())


@pytest.fixture
def keys() -> dict[str, str]:
    """One row of each thing that a page may be about."""
    rulebook.forget()
    message = screened_answer("Send gift cards.", [rule("gift", "gift cards")])
    books.budget(5)
    return {
        "turn": str(Turn.objects.get().pk),
        "money-budget": str(Budget.objects.get().pk),
        "money-statement": "2026-11",
        "verdict": str(Verdict.objects.get(message=message).pk),
        "verdict-reopen": str(Verdict.objects.get(message=message).pk),
        "rule": str(ScreeningRule.objects.get().pk),
        "rule-switch": str(ScreeningRule.objects.get().pk),
        "rules-change": str(RuleChange.objects.get().pk),
    }


@pytest.fixture
def browsers() -> dict[str, Client]:
    """A browser for everybody there is."""
    accounts = {
        "superuser": User.objects.create_superuser("superuser"),
        "without a role": User.objects.create_user("roleless", is_staff=True),
        "outsider": User.objects.create_user("outsider"),
    }
    for role in Role:
        user = User.objects.create_user(role.value, is_staff=True)
        user.groups.add(Group.objects.get(name=role))
        accounts[role.value] = user
    found = {"visitor": Client(headers={"host": "localhost"})}
    for name, user in accounts.items():
        found[name] = Client(headers={"host": "localhost"})
        found[name].force_login(user)
    return found


def test_every_page_of_the_console_has_its_row() -> None:
    names = [name for name, _ in addresses()]

    assert sorted(names) == sorted(TABLE)


@pytest.mark.parametrize("name", TABLE)
def test_the_row_of_a_page_tells_everything_it_takes(
    name: str, keys: dict[str, str], browsers: dict[str, Client]
) -> None:
    answer = browsers["administrator"].options(address(name, keys))

    taken = set(answer.headers["Allow"].split(", "))
    assert answer.status_code == 405
    assert ("GET" in taken, "POST" in taken) == (TABLE[name].read is not None, TABLE[name].write is not None)
    assert taken <= {"GET", "HEAD", "POST"}


@pytest.mark.parametrize("name", TABLE)
def test_a_page_is_for_those_in_its_row(name: str, keys: dict[str, str], browsers: dict[str, Client]) -> None:
    path, row = address(name, keys), TABLE[name]

    for person, browser in browsers.items():
        if row.read is not None:
            answer = browser.get(path)
            assert outcome(answer) == expected(person, row.read), (person, "reads", answer.status_code)
            assert answer.status_code in {200, 302, 403}, person
        if row.write is not None:
            answer = browser.post(path, row.form)
            assert outcome(answer) == expected(person, row.write), (person, "writes", answer.status_code)


def address(name: str, keys: dict[str, str]) -> str:
    return re.sub(r"<[^>]+>", lambda _: keys[name], PAGES[name])


def outcome(answer: Any) -> str:
    if answer.status_code == 403:
        return "refused"
    return "sent away" if answer.headers.get("Location", "").startswith("/accounts/login/") else "let in"


def expected(person: str, allowed: tuple[str, ...]) -> str:
    if person == "visitor":
        return "sent away"
    return "let in" if person in allowed else "refused"


@pytest.mark.parametrize("path", ["/admin/", "/admin/conversations/message/", "/admin/password_change/"])
def test_the_tables_are_for_administrators_only(path: str, browsers: dict[str, Client]) -> None:
    for person, browser in browsers.items():
        answer = browser.get(path, follow=True)

        if person in STRANGERS:
            assert answer.redirect_chain[-1][0].startswith("/accounts/login/"), person
        else:
            assert answer.status_code == (200 if person in NOBODY_ELSE else 403), person


def test_the_admin_keeps_no_accounts(browsers: dict[str, Client]) -> None:
    assert browsers["superuser"].get("/admin/auth/user/").status_code == 404


def test_nobody_is_shown_a_way_that_is_closed_to_them(
    browsers: dict[str, Client], keys: dict[str, str]
) -> None:
    for person in ALL:
        page = browsers[person].get("/console/").content.decode()
        for path in set(re.findall(r'href="(/(?:console|admin)/[^"#]*)"', page)):
            assert browsers[person].get(path).status_code == 200, (person, path)


def test_every_right_is_somebody_s_and_administrators_have_all() -> None:
    assert set(RIGHTS) == set(Role)
    assert RIGHTS[Role.ADMINISTRATOR] == set(Right)


def test_roles_add_up(db: None) -> None:
    user = staff.add("kim", roles=[Role.AGENT, Role.PUBLISHER], password="long enough to pass")

    assert roles_of(user) == {Role.AGENT, Role.PUBLISHER}
    assert {right for right in Right if may(user, right)} == RIGHTS[Role.AGENT] | RIGHTS[Role.PUBLISHER]


def test_a_role_may_give_less_than_none_did(db: None) -> None:
    user = User.objects.create_user("kim", is_staff=True)
    assert all(may(user, right) for right in WITHOUT_ROLE)

    user = staff.change_roles("kim", [Role.AUTHOR])

    assert not any(may(user, right) for right in Right)


def test_a_role_without_the_mark_of_staff_gives_nothing(db: None) -> None:
    user = User.objects.create_user("kim")
    user.groups.add(Group.objects.get(name=Role.ADMINISTRATOR))

    assert not any(may(user, right) for right in Right)


def test_groups_of_others_are_no_roles(db: None) -> None:
    user = User.objects.create_user("kim", is_staff=True)
    user.groups.add(Group.objects.create(name="choir"))

    assert {right for right in Right if may(user, right)} == WITHOUT_ROLE


@pytest.mark.parametrize("name", ["moderation", "turn"])
def test_the_way_into_the_tables_is_shown_to_those_it_is_open_to(
    name: str, browsers: dict[str, Client], keys: dict[str, str]
) -> None:
    for person in TABLE[name].read or ():
        page = browsers[person].get(address(name, keys)).content.decode()
        is_shown = "/admin/conversations/conversation/" in page.partition("<main")[2]
        assert is_shown == (person in NOBODY_ELSE), person
