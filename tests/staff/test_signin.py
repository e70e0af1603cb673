"""Who gets into the console, and how often one may try."""

from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.auth.models import User
from django.test import Client

from conversations.pages import signin
from tests.redis_server import RedisServer
from tests.staff.conftest import PASSWORD

LOGIN = "/accounts/login/"


def sign_in(client: Client, name: str, password: str, address: str = "203.0.113.7") -> str:
    """Try once; return the address it leads to, or the page with the refusal."""
    answer = client.post(
        LOGIN + "?next=/console/", {"username": name, "password": password}, REMOTE_ADDR=address
    )
    return answer.headers.get("Location") or answer.content.decode()


@pytest.mark.parametrize("path", ["/console/", "/admin/", "/admin/conversations/message/"])
def test_visitors_are_sent_to_the_sign_in_page_and_back(visitor: Client, path: str) -> None:
    answer = visitor.get(path, follow=True)

    address = urlsplit(answer.redirect_chain[-1][0])
    assert address.path == LOGIN
    assert parse_qs(address.query) == {"next": [path]}
    assert "Sign in" in answer.content.decode()


def test_a_right_password_leads_to_the_console(visitor: Client, mei: User) -> None:
    assert sign_in(visitor, "mei", PASSWORD) == "/console/"
    assert visitor.get("/console/").status_code == 200


def test_a_wrong_password_is_refused_in_one_sentence(visitor: Client, mei: User) -> None:
    page = sign_in(visitor, "mei", "wrong")

    assert "Name or password is wrong." in page
    assert 'role="alert"' in page
    assert 'value="mei"' in page
    assert 'value="wrong"' not in page


def test_a_foreign_address_is_no_way_back(visitor: Client, mei: User) -> None:
    answer = visitor.post(LOGIN, {"username": "mei", "password": PASSWORD, "next": "https://evil.example/"})

    assert answer.headers["Location"] == "/console/"


def test_whoever_is_no_staff_stays_out(visitor: Client, outsider: User) -> None:
    visitor.force_login(outsider)

    assert visitor.get("/console/").status_code == 403
    assert visitor.get("/admin/", follow=True).redirect_chain[-1][0].startswith(LOGIN)


def test_staff_without_rights_see_the_front_page_but_no_records(visitor: Client, jonas: User) -> None:
    visitor.force_login(jonas)

    page = visitor.get("/console/").content.decode()

    assert "Records" not in page
    assert visitor.get("/admin/conversations/message/").status_code == 403


def test_the_sixth_wrong_try_is_not_even_looked_at(
    visitor: Client, mei: User, redis_server: RedisServer
) -> None:
    for _ in range(signin.TRIES):
        assert "Name or password is wrong." in sign_in(visitor, "mei", "wrong")

    assert "Too many tries. You can try again in 15 minutes." in sign_in(visitor, "MEI", PASSWORD)
    # Neither does the lock keep Mei out elsewhere, nor others in the same house.
    assert sign_in(visitor, "mei", PASSWORD, address="198.51.100.1") == "/console/"
    assert "Name or password is wrong." in sign_in(Client(), "jonas", "wrong")


def test_trying_many_names_is_no_way_around(visitor: Client, mei: User, redis_server: RedisServer) -> None:
    for number in range(signin.TRIES_OF_ADDRESS):
        sign_in(visitor, f"name{number}", "wrong", address=f"2001:db8:1:2::{number:x}")

    assert "Too many tries." in sign_in(visitor, "mei", PASSWORD, address="2001:db8:1:2:ffff::1")


def test_a_right_try_forgets_the_wrong_ones(visitor: Client, mei: User, redis_server: RedisServer) -> None:
    for _ in range(3):
        for _ in range(signin.TRIES - 1):
            sign_in(visitor, "mei", "wrong")
        assert sign_in(visitor, "mei", PASSWORD) == "/console/"


def test_without_redis_staff_still_get_in(visitor: Client, mei: User) -> None:
    assert sign_in(visitor, "mei", PASSWORD) == "/console/"


def test_signing_out_needs_a_form_and_ends_the_session(staff: Client) -> None:
    assert staff.get("/accounts/logout/").status_code == 405
    assert staff.post("/accounts/logout/").headers["Location"] == LOGIN
    assert staff.get("/console/").status_code == 302
