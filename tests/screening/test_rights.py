"""Who may read, decide and change; every page asks the same function."""

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.test import Client

from conversations.models import Decision, ScreeningRule, Verdict
from conversations.rights import Right, may
from tests.screening.cast import rule, screened_answer, screened_question, verdict_of
from tests.screening.reading import text_of

pytestmark = pytest.mark.django_db

STAFF = {Right.READ_TRANSCRIPTS, Right.READ_VERDICTS, Right.DECIDE}
ROOT = "/console/moderation/"


def rights(user: User | AnonymousUser) -> set[Right]:
    return {right for right in Right if may(user, right)}


def test_staff_read_and_decide_and_admins_do_everything() -> None:
    assert rights(AnonymousUser()) == set()
    assert rights(User.objects.create_user("visitor")) == set()
    assert rights(User.objects.create_user("super", is_superuser=True)) == set()
    assert rights(User.objects.create_user("jonas", is_staff=True)) == STAFF
    assert rights(User.objects.create_superuser("mei")) == set(Right)
    assert rights(User.objects.create_superuser("gone", is_active=False)) == set()


@pytest.mark.parametrize(
    "path", ["", "by-rule/", "rules/", "rules/history/", "rules/new/", "rules/list/", "rules/export/"]
)
def test_nobody_else_sees_a_page(path: str) -> None:
    client = Client(headers={"host": "localhost"})
    assert client.get(ROOT + path).headers["Location"].startswith("/accounts/login/")

    client.force_login(User.objects.create_user("visitor"))
    assert client.get(ROOT + path).status_code == 403


def test_staff_without_the_right_read_rules_and_change_none(jonas: Client) -> None:
    rule("gift", "gift cards")
    row = ScreeningRule.objects.get()

    assert jonas.get(f"{ROOT}rules/").status_code == 200
    assert "New rule" not in text_of(jonas.get(f"{ROOT}rules/"))
    page = jonas.get(f"{ROOT}rules/{row.pk}/")
    assert page.status_code == 200
    assert "Put live" not in text_of(page)
    for path, fields in (
        ("rules/new/", {}),
        ("rules/list/", {}),
        (f"rules/{row.pk}/", {"do": "live"}),
        (f"rules/{row.pk}/", {"do": "rest"}),
        (f"rules/{row.pk}/", {"do": "remove"}),
        (f"rules/{row.pk}/", {"do": "dry"}),
        (f"rules/{row.pk}/switch/", {"is_active": "off"}),
    ):
        assert jonas.post(ROOT + path, fields).status_code == 403, path
    assert ScreeningRule.objects.get(removed_at=None).is_active


def test_they_may_try_a_rule_as_it_is(jonas: Client) -> None:
    rule("gift", "gift cards")
    row = ScreeningRule.objects.get()

    tried = jonas.post(
        f"{ROOT}rules/{row.pk}/",
        {"do": "try", "text": "Send gift cards.", "pattern": "x"},
        headers={"hx-request": "true"},
    )

    assert '<mark class="hit" title="gift">gift cards</mark>' in tried.content.decode()


def test_what_is_masked_is_read_by_those_who_may(jonas: Client, mei: Client) -> None:
    card = rule("card", "payment_card_luhn", "mask", kind="detector")
    rude = rule("rude", "you fool")
    screened_question("My card is 4242 4242 4242 4242, you fool.", [card, rude])

    for path in ("", f"?chosen={Verdict.objects.get(rule_name='card').pk}"):
        assert "4242" not in jonas.get(ROOT + path).content.decode()
        assert "4242 4242 4242 4242" in mei.get(ROOT + path).content.decode()
    assert "you fool" in jonas.get(ROOT).content.decode()


def test_more_findings_than_are_noted_tell_nothing_more(jonas: Client) -> None:
    mail = rule("mail", "email", "mask", kind="detector")
    text = " ".join(f"a{number}@home.example" for number in range(70))
    screened_question(text, [mail])

    assert "@home.example" not in jonas.get(ROOT).content.decode()


def test_decisions_need_the_right_method_and_one_who_may(jonas: Client) -> None:
    message = screened_answer("Send gift cards.", [rule("gift", "gift cards")])
    path = f"{ROOT}{verdict_of(message).pk}/"

    assert jonas.get(path).status_code == 405
    assert Client(headers={"host": "localhost"}).post(path, {"decision": "overturned"}).status_code == 302
    strict = Client(headers={"host": "localhost"}, enforce_csrf_checks=True)
    strict.force_login(User.objects.get())
    assert strict.post(path, {"decision": "overturned"}).status_code == 403
    assert verdict_of(message).decision == Decision.OPEN

    assert jonas.post(path, {"decision": "overturned"}).status_code == 302
    assert verdict_of(message).decided_by == "jonas"
