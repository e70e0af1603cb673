"""`manage.py staff`: accounts, roles and passwords from the terminal."""

import sys
from io import StringIO

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client
from pytest_django import Settings

from conversations.models import AuditEntry
from conversations.rights import Role, roles_of
from tests.commands.conftest import Terminal

PASSWORD = "northwind-staff-1"


class Keyboard(StringIO):
    """A terminal at which nobody types."""

    def isatty(self) -> bool:
        return True

    def readline(self, size: int | None = -1, /) -> str:  # type: ignore[override]  # so says typeshed
        raise AssertionError("Nobody types a password here.")


@pytest.fixture(autouse=True)
def _quick_passwords(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def typed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A password comes from a pipe."""
    monkeypatch.setattr(sys, "stdin", StringIO(PASSWORD + "\n"))


@pytest.fixture
def at_a_keyboard(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Keyboard())


def may_sign_in(name: str, password: str) -> bool:
    client = Client(headers={"host": "localhost"})
    answer = client.post("/accounts/login/", {"username": name, "password": password})
    return answer.status_code == 302 and client.get("/console/").status_code == 200


def test_somebody_is_added_with_a_password_from_a_pipe(terminal: Terminal, typed: None) -> None:
    done = terminal(
        "staff", "add", "kim", "--role", "author", "--role", "publisher", "--email", "kim@northwind.example"
    )

    assert (done.exit, done.out) == (0, "")
    assert "`kim` may sign in now, as author, publisher." in done.err
    user = User.objects.get()
    assert roles_of(user) == {Role.AUTHOR, Role.PUBLISHER}
    assert (user.is_staff, user.is_superuser, user.email) == (True, False, "kim@northwind.example")
    assert may_sign_in("kim", PASSWORD)


def test_a_password_is_made_and_printed_once(terminal: Terminal, at_a_keyboard: None) -> None:
    done = terminal("staff", "add", "kim", "--role", "agent")

    password = done.out.strip()
    assert len(password) >= 20
    assert password not in done.err
    assert may_sign_in("kim", password)
    assert password not in str(list(AuditEntry.objects.values()))


def test_a_new_password_ends_the_sessions_of_the_old(
    terminal: Terminal, typed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    terminal("staff", "add", "kim", "--role", "agent")
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get())

    monkeypatch.setattr(sys, "stdin", Keyboard())
    done = terminal("staff", "password", "kim")

    assert client.get("/console/").status_code == 302
    assert not may_sign_in("kim", PASSWORD)
    assert may_sign_in("kim", done.out.strip())


def test_whoever_is_disabled_is_out_at_once_and_may_come_back(terminal: Terminal, typed: None) -> None:
    terminal("staff", "add", "kim", "--role", "agent")
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get())

    assert "`kim` is disabled." in terminal("staff", "disable", "kim").err
    assert client.get("/console/").status_code == 302
    assert not may_sign_in("kim", PASSWORD)
    assert "was already disabled" in terminal("staff", "disable", "kim").err

    assert "may sign in" in terminal("staff", "enable", "kim").err
    assert may_sign_in("kim", PASSWORD)


def test_roles_are_given_and_taken_at_once(terminal: Terminal, typed: None) -> None:
    terminal("staff", "add", "kim", "--role", "publisher")
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.get())
    assert client.get("/console/money/").status_code == 200

    done = terminal("staff", "role", "kim", "author", "reviewer")

    assert "`kim` is author, reviewer now." in done.err
    assert client.get("/console/money/").status_code == 403
    assert client.get("/console/moderation/").status_code == 200


def test_a_superuser_with_another_role_is_none_any_more(terminal: Terminal) -> None:
    User.objects.create_superuser("mei")

    terminal("staff", "role", "mei", "reviewer")

    mei = User.objects.get()
    assert not mei.is_superuser
    assert roles_of(mei) == {Role.REVIEWER}
    assert AuditEntry.objects.get().before == {"roles": ["administrator"]}


def test_an_account_of_no_staff_becomes_one(terminal: Terminal) -> None:
    group, _ = Group.objects.get_or_create(name="agent")
    User.objects.create_user("kim").groups.add(group)

    terminal("staff", "role", "kim", "agent")

    assert User.objects.get().is_staff
    assert AuditEntry.objects.get().after == {"roles": ["agent"]}


def test_everybody_is_listed(terminal: Terminal, typed: None) -> None:
    terminal("staff", "add", "kim", "--role", "agent")
    terminal("staff", "disable", "kim")
    User.objects.create_superuser("mei")
    User.objects.create_user("jonas", is_staff=True)
    User.objects.create_user("outsider")

    done = terminal("staff", "list", "--json")
    shown = terminal("staff", "list").out

    assert [(each["name"], each["roles"], each["is_active"]) for each in done.json] == [
        ("jonas", [], True),
        ("kim", ["agent"], False),
        ("mei", ["administrator"], True),
    ]
    assert done.err == ""
    assert "staff without a role" in shown
    assert "disabled" in shown
    assert "outsider" not in shown


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("add", "MEI", "--role", "agent"), "There is already a `MEI`."),
        (("add", "a b", "--role", "agent"), "Enter a valid username."),
        (("add", "kim", "--role", "agent", "--email", "nowhere"), "Enter a valid email address."),
        (("add", "kim", "--role", "king"), "invalid choice: 'king'"),
        (("add", "kim"), "--role"),
        (("role", "nobody", "agent"), "There is no `nobody`."),
        (("password", "nobody"), "There is no `nobody`."),
        (("disable", "nobody"), "There is no `nobody`."),
        ((), "ACTION"),
    ],
)
def test_what_cannot_be_is_told_and_does_nothing(
    terminal: Terminal, typed: None, words: tuple[str, ...], sentence: str
) -> None:
    User.objects.create_superuser("mei")

    done = terminal("staff", *words)

    assert done.exit != 0
    assert sentence in done.err
    assert done.out == ""
    assert list(User.objects.values_list("username", flat=True)) == ["mei"]
    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("given", "sentence"),
    [("", "stdin holds no password"), ("short\n", "too short"), ("q1w2e3r4t5y6\n", "too common"),
     ("kimberley-jones\n", "too similar")],
)  # fmt: skip
def test_a_password_that_is_none_is_refused(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch, given: str, sentence: str
) -> None:
    monkeypatch.setattr(sys, "stdin", StringIO(given))

    done = terminal("staff", "add", "kimberley-jones", "--role", "agent")

    assert done.exit != 0
    assert sentence in done.err
    assert not User.objects.exists()


def test_the_demo_s_first_login_is_an_administrator(terminal: Terminal) -> None:
    printed = terminal("demo").out

    [user] = User.objects.all()
    assert roles_of(user) == {Role.ADMINISTRATOR}
    assert may_sign_in("admin", printed.split(" / ")[1].split()[0])
    assert terminal("demo").out == ""
