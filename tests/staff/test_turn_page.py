"""The page of one turn: its whole story, and to each reader what they may read."""

import re

import pytest
from django.contrib.auth.models import Group, User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations import billing, rulebook
from conversations.models import Completion, HistoryWindow, Message, Turn
from conversations.moderation.rules import Rule
from tests.frame.rows import ended_turn
from tests.money import books
from tests.screening.cast import rule, screened_answer, screened_question

MAIL = "ann@example.com"


@pytest.fixture(autouse=True)
def _rules_are_new() -> None:
    rulebook.forget()


@pytest.fixture
def mails(db: None) -> Rule:
    """A rule that hides e-mail addresses from the model."""
    return rule("mails", "email", "mask", kind="detector", stages=("input",))


def told_turn() -> Turn:
    """Return a turn of today whose attempt has its window and has been billed."""
    books.price()
    failed = {"status": "failed", "error": "overloaded", "error_code": "529", "total_ms": 80}
    answered = {"request_id": "req-7", "first_delta_ms": 300, "total_ms": 900}
    turn = ended_turn(at=timezone.now(), attempts=(failed, answered))
    for completion in turn.completions.all():
        billing.hold(completion, input_tokens=100, output_tokens=500, purpose="visitor")
        HistoryWindow.objects.create(
            completion=completion, system="Be kind.", sent=[1], input_tokens=10, limit_tokens=100, salt="s",
            hmac="h", dropped=[{"from": 2, "to": 4, "reason": "tokens"}],
        )  # fmt: skip
    billing.bill([turn.pk])
    return turn


def text_of(page: bytes) -> str:
    """Return what a reader sees, on one line."""
    without_tags = re.sub(r"<(svg|script|style).*?</\1>|<[^>]+>", " ", page.decode(), flags=re.DOTALL)
    return " ".join(without_tags.split())


def test_the_page_tells_the_whole_story(staff: Client) -> None:
    turn = told_turn()

    page = staff.get(f"/console/turns/{turn.pk}/").content
    text = text_of(page)

    assert "Where is my parcel?" in text
    assert "It is on its way." in text
    assert "Attempt 1 ended as failed; error overloaded (529); all of it in 80 ms" in text
    assert "Left out of it: messages 2–4, because of tokens." in text
    assert "the service’s request id is req-7" in text
    assert "HMAC does not match" in text
    assert "Together it cost 0.00036 USD" in text
    assert 'data value="180000"' in page.decode()


def test_other_ids_lead_to_the_turn_and_unknown_ones_nowhere(staff: Client) -> None:
    turn = told_turn()
    address = f"/console/turns/{turn.pk}/"
    completion = turn.completions.first()
    question = Message.objects.get(role="visitor")
    assert completion is not None

    for key in (turn.message_id, completion.pk, question.pk):
        assert staff.get(f"/console/turns/{key}/").headers["Location"] == address
    assert staff.get("/console/turns/nobody/").status_code == 404
    Completion.objects.filter(pk=completion.pk).update(turn=None)
    assert staff.get(f"/console/turns/{completion.pk}/").status_code == 404


def test_only_staff_read_it(visitor: Client, outsider: User) -> None:
    address = f"/console/turns/{told_turn().pk}/"

    assert visitor.get(address).headers["Location"].startswith("/accounts/login/")
    visitor.force_login(outsider)
    assert visitor.get(address).status_code == 403


def test_who_may_not_read_what_was_said_may_not_read_it(visitor: Client, jonas: User) -> None:
    address = f"/console/turns/{told_turn().pk}/"
    visitor.force_login(jonas)

    assert visitor.get(address).status_code == 200
    jonas.groups.add(Group.objects.get(name="publisher"))
    assert visitor.get(address).status_code == 403


def test_money_is_shown_to_those_who_may_read_it(staff: Client, visitor: Client, jonas: User) -> None:
    address = f"/console/turns/{told_turn().pk}/"
    visitor.force_login(jonas)

    assert "Ledger" in text_of(staff.get(address).content)
    text = text_of(visitor.get(address).content)
    assert "What happened" in text
    assert "Ledger" not in text
    assert "USD" not in text


def test_what_is_masked_is_shown_to_those_who_may_read_it(
    staff: Client, visitor: Client, jonas: User, mails: Rule
) -> None:
    turn = told_turn()
    screened_question(f"I am {MAIL}, where is it?", [mails], turn=turn)
    Message.objects.filter(pk=turn.message_id).update(text=f"We wrote to {MAIL}.")
    address = f"/console/turns/{turn.pk}/"
    visitor.force_login(jonas)

    assert staff.get(address).content.decode().count(MAIL) == 2
    text = text_of(visitor.get(address).content)
    assert "I am ▮▮▮, where is it?" in text
    assert "We wrote to ▮▮▮." in text
    assert MAIL not in text


def test_what_was_masked_in_an_answer_is_shown_to_those_who_may_read_it(
    staff: Client, visitor: Client, jonas: User
) -> None:
    turn = told_turn()
    screened_answer("The code is swordfish.", [rule("codes", "swordfish", "mask")], turn=turn)
    address = f"/console/turns/{turn.pk}/"
    visitor.force_login(jonas)

    assert "The code is swordfish." in text_of(staff.get(address).content)
    assert "The code is ▮▮▮." in text_of(visitor.get(address).content)


@pytest.mark.parametrize("status", ["blocked", "hidden"])
def test_withheld_text_is_shown_to_those_who_may_read_it(
    staff: Client, visitor: Client, jonas: User, status: str
) -> None:
    turn = told_turn()
    Message.objects.filter(pk=turn.message_id).update(status=status, text="", withheld="You fool.")
    address = f"/console/turns/{turn.pk}/"
    visitor.force_login(jonas)

    assert "You fool." in text_of(staff.get(address).content)
    text = text_of(visitor.get(address).content)
    assert "You fool." not in text
    assert "This text is withheld" in text


def test_a_masked_message_whose_findings_are_unknown_is_withheld(
    visitor: Client, jonas: User, mails: Rule
) -> None:
    turn = told_turn()
    Message.objects.filter(role="visitor").update(is_masked=True, text=f"I am {MAIL}")
    visitor.force_login(jonas)

    assert MAIL not in visitor.get(f"/console/turns/{turn.pk}/").content.decode()


def test_what_others_wrote_is_text_on_the_page(staff: Client) -> None:
    turn = told_turn()
    forged = "<script>alert(1)</script>"
    Message.objects.update(text=forged)
    turn.completions.update(request_id=forged, error_code=forged)

    page = staff.get(f"/console/turns/{turn.pk}/").content.decode()

    assert forged not in page
    assert page.count("&lt;script&gt;alert(1)") >= 4


def test_the_page_costs_few_queries(staff: Client) -> None:
    address = f"/console/turns/{told_turn().pk}/"

    with CaptureQueriesContext(connection) as asked:
        staff.get(address)

    assert len(asked) <= 13


def test_the_record_of_a_turn_leads_to_its_story(staff: Client) -> None:
    turn = told_turn()

    for address in ("", f"{turn.pk}/change/"):
        page = staff.get(f"/admin/conversations/turn/{address}").content.decode()
        assert f'href="/console/turns/{turn.pk}/"' in page
