"""What is written down of what staff do, and who reads it."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import DatabaseError, transaction
from django.test import Client

from conversations import audit, decisions, rulebook, staff
from conversations.audit import Kind, Verb
from conversations.models import AuditEntry, Budget, BudgetChange, Decision, RuleChange
from conversations.pages import signin
from conversations.rights import Role
from tests.money import books
from tests.redis_server import RedisServer
from tests.screening.cast import rule, screened_answer, verdict_of
from tests.staff.conftest import PASSWORD
from tests.staff.test_signin import sign_in

pytestmark = pytest.mark.django_db


def entries() -> list[dict[str, Any]]:
    """Return what was written down, oldest first."""
    rows = AuditEntry.objects.order_by("pk").values("verb", "kind", "label", "by", "origin")
    return [dict(row) for row in rows]


def done(verb: str, kind: str, label: str, by: str = "", origin: str = "command") -> dict[str, Any]:
    return {"verb": verb, "kind": kind, "label": label, "by": by, "origin": origin}


def test_the_staff_s_comings_and_goings_are_written_down() -> None:
    staff.add("kim", roles=[Role.AUTHOR], password=PASSWORD, email="kim@northwind.example")
    staff.change_roles("kim", [Role.AGENT, Role.REVIEWER], by="mei")
    staff.change_password("kim", PASSWORD + "2")
    assert staff.switch("kim", is_active=False)
    assert staff.switch("kim", is_active=True)

    assert entries() == [
        done("added", "staff", "kim"),
        done("changed roles", "staff", "kim", "mei"),
        done("changed password", "staff", "kim"),
        done("disabled", "staff", "kim"),
        done("enabled", "staff", "kim"),
    ]
    added, changed = AuditEntry.objects.order_by("pk")[:2]
    assert (added.before, added.after) == (None, {"roles": ["author"], "email": "kim@northwind.example"})
    assert (changed.before, changed.after) == ({"roles": ["author"]}, {"roles": ["agent", "reviewer"]})
    assert not any(PASSWORD in str(row) for row in AuditEntry.objects.values())


def test_what_changes_nothing_is_not_written_down() -> None:
    staff.add("kim", roles=[Role.AUTHOR], password=PASSWORD)

    staff.change_roles("kim", [Role.AUTHOR])

    assert not staff.switch("kim", is_active=True)
    assert len(entries()) == 1


def test_signing_in_and_out_is_written_down_with_its_address(visitor: Client, mei: User) -> None:
    sign_in(visitor, "mei", "wrong")
    sign_in(visitor, "mei", PASSWORD)
    visitor.post("/accounts/logout/", REMOTE_ADDR="198.51.100.1")
    visitor.post("/accounts/logout/")  # nobody is signed in any more

    assert entries() == [
        done("signed in", "staff", "mei", "mei", "203.0.113.7"),
        done("signed out", "staff", "mei", "mei", "198.51.100.1"),
    ]


def test_a_lock_out_is_written_down_once(visitor: Client, mei: User, redis_server: RedisServer) -> None:
    for _ in range(signin.TRIES + 3):
        sign_in(visitor, "mei", "wrong")

    assert entries() == [done("locked out", "staff", "mei", "", "203.0.113.7")]


def test_a_name_that_nobody_has_is_not_written_down(visitor: Client, redis_server: RedisServer) -> None:
    for _ in range(signin.TRIES + 1):
        sign_in(visitor, "my-secret-password", "wrong")

    assert entries() == [done("locked out", "staff", "", "", "203.0.113.7")]


def test_whoever_tries_on_does_not_fill_the_audit(visitor: Client, redis_server: RedisServer) -> None:
    for number in range(signin.TRIES_OF_ADDRESS + signin.TOLD_OF_ADDRESS + 5):
        sign_in(visitor, f"name{number}", "wrong")

    assert len(entries()) == signin.TOLD_OF_ADDRESS


def test_decisions_are_written_down_without_what_was_said(staff: Client) -> None:
    message = screened_answer("Send gift cards.", [rule("gift", "gift cards")])
    verdict = verdict_of(message)
    known = AuditEntry.objects.count()

    path = f"/console/moderation/{verdict.pk}/"
    staff.post(path, {"decision": "overturned", "note": "harmless"}, REMOTE_ADDR="198.51.100.1")
    staff.post(path + "reopen/", REMOTE_ADDR="198.51.100.1")

    decided, reopened = AuditEntry.objects.order_by("pk")[known:]
    assert (decided.verb, decided.kind, decided.key) == ("decided", "verdict", str(verdict.pk))
    assert (decided.by, decided.origin, decided.label) == ("mei", "198.51.100.1", "gift")
    assert decided.before == {"decision": "open"}
    assert decided.after == {"decision": "overturned", "verdicts": [verdict.pk]}
    assert (reopened.verb, reopened.by) == ("reopened", "mei")
    assert reopened.after == {"decision": "open", "verdicts": [verdict.pk]}
    assert "gift cards" not in str(list(AuditEntry.objects.filter(kind="verdict").values()))


def test_a_decision_that_changes_nothing_is_not_written_down() -> None:
    verdict = verdict_of(screened_answer("Send gift cards.", [rule("gift", "gift cards")]))
    decisions.decide(verdict.pk, Decision.UPHELD, by="mei")
    known = AuditEntry.objects.count()

    decisions.decide(verdict.pk, Decision.UPHELD, by="mei")

    assert AuditEntry.objects.count() == known


def test_changes_of_rules_lead_to_their_details() -> None:
    rule("gift", "gift cards")
    rulebook.switch(["gift"], is_active=False, by="mei")

    assert entries() == [
        done("changed", "rules", "`gift` made", "ann"),
        done("changed", "rules", "`gift` changed", "mei"),
    ]
    assert [row.key for row in AuditEntry.objects.order_by("pk")] == [
        str(pk) for pk in RuleChange.objects.order_by("pk").values_list("pk", flat=True)
    ]


def test_changes_of_money_are_written_down(staff: Client) -> None:
    form = {"scope": "site", "period": "day", "limit_nanos": "12.5", "is_active": "on"}
    staff.post("/console/money/budgets/", form)
    staff.post(f"/console/money/budgets/{Budget.objects.get().pk}/", {**form, "limit_nanos": "20"})
    staff.post(
        "/console/money/prices/?provider=openai&model=gpt-5-mini",
        {"input_nanos": "0.25", "output_nanos": "2", "currency": "USD"},
    )
    staff.post("/console/money/rates/", {"currency": "CNY", "rate_nanos": "0.14"})

    pk = Budget.objects.get().pk
    assert entries() == [
        done("added", "budget", f"{pk}: site a day", "mei", "127.0.0.1"),
        done("changed", "budget", f"{pk}: site a day", "mei", "127.0.0.1"),
        done("added", "price", "gpt-5-mini at openai", "mei", "127.0.0.1"),
        done("added", "rate", "CNY in USD", "mei", "127.0.0.1"),
    ]
    first, second, price, rate = AuditEntry.objects.order_by("pk")
    changes = BudgetChange.objects.order_by("pk").values_list("pk", flat=True)
    assert [first.key, second.key] == [str(pk) for pk in changes]
    assert price.after is not None
    assert (price.after["input"], price.after["output"], price.after["currency"]) == ("0.25", "2", "USD")
    assert rate.after is not None
    assert rate.after["rate"] == "0.14"


def test_what_is_undone_leaves_no_entry() -> None:
    with transaction.atomic():
        books.price()
        transaction.set_rollback(True)

    assert entries() == []


CHANGES: dict[str, Callable[[], object]] = {
    "changed": lambda: AuditEntry.objects.update(by="somebody else"),
    "taken out": lambda: AuditEntry.objects.all()._raw_delete(AuditEntry.objects.db),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_no_entry_is_ever_changed_or_taken_out(change: Callable[[], object]) -> None:
    rule("gift", "gift cards")

    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        change()


@pytest.mark.django_db(transaction=True)
def test_an_entry_needs_the_transaction_of_its_change() -> None:
    with pytest.raises(AssertionError, match="together"):
        audit.write(Verb.ADDED, Kind.STAFF, 1, by="mei")


def test_one_s_own_password_is_changed_and_that_is_written_down(visitor: Client, mei: User) -> None:
    visitor.force_login(mei)
    new = {"old_password": PASSWORD, "new_password1": PASSWORD + "2", "new_password2": PASSWORD + "2"}

    assert visitor.post("/admin/password_change/", {**new, "old_password": "x"}).status_code == 200
    assert entries() == []
    assert visitor.post("/admin/password_change/", new).status_code == 302
    assert entries() == [done("changed password", "staff", "mei", "mei", "127.0.0.1")]


# The page


def listed(client: Client, query: str = "") -> list[str]:
    """Return the lines of the page, as they read."""
    body = (
        client.get(f"/console/audit/{query}")
        .content.decode()
        .partition("<tbody>")[2]
        .partition("</tbody>")[0]
    )
    rows = body.split("<tr>")[1:]
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in rows]


def test_the_page_shows_who_did_what_before_and_after(staff: Client) -> None:
    with transaction.atomic():
        audit.write(
            Verb.CHANGED_ROLES, Kind.STAFF, 7, by="mei", label="kim",
            before={"roles": ["author"], "same": 1}, after={"roles": ["agent", "reviewer"], "same": 1},
        )  # fmt: skip

    [line] = listed(staff)

    assert line.endswith("mei Roles changed Staff: kim roles author agent, reviewer a command")


def test_the_page_leads_to_the_details(staff: Client) -> None:
    rule("gift", "gift cards")
    screened = verdict_of(screened_answer("Send gift cards.", [rule("vouchers", "gift")]))
    decisions.decide(screened.pk, Decision.UPHELD, by="mei")
    books.budget(5)
    books.price()
    books.rate("CNY", "USD", 0.14)

    page = staff.get("/console/audit/").content.decode()

    found = re.findall(r'<td>.*?<a href="([^"]+)"', page.partition("<tbody>")[2])
    assert len(found) == 6
    for path in found:
        assert staff.get(path.replace("&amp;", "&")).status_code == 200, path


def test_the_page_is_narrowed_by_who_what_and_when(staff: Client) -> None:
    days = [datetime(2026, 11, day, 23, 59, tzinfo=UTC) for day in (1, 2, 3)]
    for day, by, verb, kind in zip(
        days,
        ("mei", "jonas", "mei"),
        ("added", "decided", "signed in"),
        ("staff", "verdict", "staff"),
        strict=True,
    ):
        AuditEntry.objects.create(
            at=day, by=by, verb=verb, kind=kind, label=f"on {day.day}", origin="command"
        )

    def days_of(query: str) -> list[str]:
        return re.findall(r"on (\d)", " ".join(listed(staff, query)))

    assert days_of("") == ["3", "2", "1"]
    assert days_of("?by=mei") == ["3", "1"]
    assert days_of("?verb=decided") == ["2"]
    assert days_of("?kind=staff&by=mei") == ["3", "1"]
    assert days_of("?since=2026-11-02") == ["3", "2"]
    assert days_of("?until=2026-11-02") == ["2", "1"]
    assert days_of("?since=2026-11-02&until=2026-11-02") == ["2"]
    assert days_of("?verb=nonsense&since=nonsense") == ["3", "2", "1"]
    assert days_of("?until=9999-12-31") == ["3", "2", "1"]
    assert days_of("?by=nobody") == []
    assert "No entry fits." in staff.get("/console/audit/?by=nobody").content.decode()


def test_older_entries_are_a_page_away(staff: Client) -> None:
    for number in range(audit.PAGE + 2):
        AuditEntry.objects.create(
            by="mei", verb="added", kind="staff", label=f"number {number:03}", origin="command",
            at=datetime(2026, 11, 1, tzinfo=UTC) + timedelta(minutes=number),
        )  # fmt: skip

    page = staff.get("/console/audit/?by=mei").content.decode()
    older = re.search(r'href="([^"]+)">Older', page)
    assert older is not None
    first, second = listed(staff, "?by=mei"), listed(staff, older[1].replace("&amp;", "&"))

    assert len(first) == audit.PAGE
    assert re.findall(r"number \d+", " ".join(second)) == ["number 001", "number 000"]
    assert "Older" not in staff.get("/console/audit/" + older[1].replace("&amp;", "&")).content.decode()


def test_the_page_takes_as_many_queries_for_many_entries_as_for_few(
    staff: Client, django_assert_max_num_queries: Any
) -> None:
    for number in range(audit.PAGE):
        AuditEntry.objects.create(by="mei", verb="added", kind="price", key=str(number), origin="command")

    with django_assert_max_num_queries(6):
        staff.get("/console/audit/")


def test_what_others_wrote_is_text_on_the_page(staff: Client) -> None:
    forged = "<script>alert(1)</script>"
    AuditEntry.objects.create(
        by=forged, verb=forged[:24], kind=forged[:24], label=f"`{forged}`", origin=forged,
        before={forged: forged}, after={forged: [forged]},
    )  # fmt: skip

    assert forged not in staff.get("/console/audit/").content.decode()
