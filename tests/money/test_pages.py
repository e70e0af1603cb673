"""The pages about money: their sums are the ledger's to the unit, and only admins change anything."""

import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone

from conversations import billing, prices, spending
from conversations.models import (
    NANOS,
    Budget,
    BudgetChange,
    BudgetSpend,
    Completion,
    ExchangeRate,
    Price,
)
from conversations.pages.money import charts
from conversations.spending import Choice
from tests.money import books
from tests.money.books import end

pytestmark = pytest.mark.django_db

SUM = re.compile(r'<data value="(-?\d+)" data-currency="(\w*)">')
ADDRESSES = (
    "/console/money/", "/console/money/calls/", "/console/money/export.csv", "/console/money/budgets/",
    "/console/money/prices/", "/console/money/rates/", "/console/money/statement/2026-11/",
)  # fmt: skip


@pytest.fixture
def spent() -> None:
    """Some calls of today, for customers and for tests, in two currencies, one of unknown cost."""
    books.price(input_nanos=1_234_567_891)
    books.price(model="qwen-plus", provider="qwen", currency="CNY", input_nanos=800_000_001)
    shop, bank = books.assistant("shop"), books.assistant("bank")
    number = 0
    for assistant in (shop, bank, None):
        for provider, model in (("openai", "gpt-5-mini"), ("qwen", "qwen-plus"), ("house", "=1+1")):
            number += 1
            turn = books.turn(of=assistant) if assistant else None
            row = books.call(
                turn, provider=provider, model=model, route="concise" if number % 2 else "default"
            )
            billing.settle([end(row, input_tokens=1000 * number + 7, output_tokens=number)])


def sums(html: str) -> Counter[str]:
    """Add up the amounts that a piece of a page holds."""
    found: Counter[str] = Counter()
    for nanos, currency in SUM.findall(html):
        found[currency] += int(nanos)
    return found


def page(client: Client, address: str, **query: str) -> str:
    answer = client.get(f"{address}?{urlencode(query)}" if query else address)
    assert answer.status_code == 200, answer.status_code
    return answer.content.decode()


def part(html: str, tag: str) -> str:
    found = re.search(rf"<{tag}[ >].*?</{tag}>", html, re.DOTALL)
    assert found is not None
    return found[0]


@pytest.mark.parametrize("by", ["model", "route", "assistant", "segment", "day"])
@pytest.mark.parametrize("purpose", ["visitor", "test"])
def test_the_page_holds_the_sums_of_the_ledger(staff: Client, spent: None, by: str, purpose: str) -> None:
    expected = spending.total(spending.sums(Choice(where=(("purpose", purpose),)))).nanos

    html = page(staff, "/console/money/", by=by, purpose=purpose, period="7")

    assert expected
    assert sums(part(html, "tbody")) == expected
    assert sums(part(html, "tfoot")) == expected
    assert sums(part(html, "dl")) == expected


def test_every_figure_leads_to_its_calls(staff: Client, spent: None) -> None:
    html = page(staff, "/console/money/", by="model")
    rows = re.findall(r"<tr>.*?</tr>", part(html, "tbody"), re.DOTALL)

    for row in rows:
        link = re.search(r'href="(/console/money/calls/[^"]*)"', row)
        assert link is not None
        behind = page(staff, link[1].replace("&amp;", "&"))
        assert sums(part(behind, "tbody")) == sums(row)
        assert part(behind, "tbody").count("/console/turns/") == 2  # shop's and bank's


def test_the_csv_file_holds_the_same_sums_and_no_formula(staff: Client, spent: None) -> None:
    answer = staff.get("/console/money/export.csv?purpose=visitor")
    rows = list(csv.DictReader(io.StringIO(b"".join(answer).decode())))

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    found: Counter[str] = Counter()
    for row in rows:
        if row["amount_nanos"]:
            found[row["currency"]] += int(row["amount_nanos"])
            assert prices.nanos(row["amount"]) == int(row["amount_nanos"])
    assert found == spending.total(spending.sums(Choice(where=(("purpose", "visitor"),)))).nanos
    assert {row["model"] for row in rows} == {"gpt-5-mini", "qwen-plus", "'=1+1"}
    assert {row["turn"] for row in rows} == set(
        Completion.objects.filter(turn__isnull=False).values_list("turn", flat=True)
    )


def test_the_statement_is_the_months(staff: Client, spent: None) -> None:
    month = f"{timezone.now():%Y-%m}"
    found = spending.statement(spending.read_month(month))

    html = page(staff, f"/console/money/statement/{month}/")

    assert sums(part(html, "tbody")) == sums(part(html, "tfoot")) == found.whole.nanos
    assert "Calls of unknown cost: 3" in html
    assert "The month is not over." in html
    assert html.count("1 unknown") == 3


def test_an_empty_house_has_pages_too(staff: Client) -> None:
    for address in ADDRESSES:
        assert staff.get(address).status_code == 200, address


@pytest.mark.parametrize("query", ["period=never", "period=2026-13", "by=password", "period=2026-11&by="])
def test_what_no_page_asks_for_is_not_found(staff: Client, query: str) -> None:
    assert staff.get(f"/console/money/?{query}").status_code == 404


def test_a_page_needs_as_many_queries_for_many_lines_as_for_few(
    staff: Client, spent: None, django_assert_max_num_queries: Any
) -> None:
    with django_assert_max_num_queries(14):
        page(staff, "/console/money/")


@pytest.mark.parametrize("address", ADDRESSES)
def test_money_is_for_admins(visitor: Client, jonas: User, address: str) -> None:
    assert visitor.get(address).status_code == 302
    visitor.force_login(jonas)
    assert visitor.get(address).status_code == 403
    if "budgets" in address or "prices" in address or "rates" in address:
        assert visitor.post(address, {}).status_code == 403


# Changing


BUDGET = {"scope": "site", "period": "day", "limit_nanos": "12.5", "is_active": "on"}


def test_a_budget_is_made_and_changed_with_its_history(staff: Client) -> None:
    assert staff.post("/console/money/budgets/", BUDGET).status_code == 302
    row = Budget.objects.get()
    assert (row.limit_nanos, row.currency, row.is_active) == (12_500_000_000, "USD", True)

    staff.post(
        f"/console/money/budgets/{row.pk}/", {**BUDGET, "limit_nanos": "20", "cheaper_route": "concise"}
    )

    row.refresh_from_db()
    assert (row.limit_nanos, row.cheaper_route) == (20 * NANOS, "concise")
    assert list(BudgetChange.objects.values_list("by", flat=True)) == ["mei", "mei"]
    html = page(staff, "/console/money/budgets/")
    assert "limit 12.5 → 20" in html
    assert "concise" in html


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"limit_nanos": "-1"}, "A limit cannot be negative."),
        ({"limit_nanos": "many"}, "is no number"),
        ({"scope": "assistant"}, "Name an assistant"),
        ({"scope": "king"}, "king"),
    ],
)
def test_a_budget_that_cannot_be_is_told(staff: Client, said: dict[str, str], sentence: str) -> None:
    answer = staff.post("/console/money/budgets/", BUDGET | said)

    assert answer.status_code == 200
    assert sentence in answer.content.decode()
    assert not Budget.objects.exists()


def test_how_far_a_budget_is_can_be_seen(staff: Client) -> None:
    budget = books.budget(50)
    BudgetSpend.objects.create(budget=budget, subject="", period_start=books.today(), spent_nanos=42 * NANOS)

    html = page(staff, "/console/money/")

    assert "42.00 USD of 50.00 USD" in html
    assert '<rect class="warn" width="168"' in html


def test_a_price_is_a_new_row_with_its_writer(staff: Client) -> None:
    books.price()
    said = {"input_nanos": "0.3", "output_nanos": "2.4", "cached_input_nanos": "", "reasoning_nanos": "",
            "currency": "usd", "from_date": "2026-12-01", "note": "new list"}  # fmt: skip

    answer = staff.post("/console/money/prices/?provider=openai&model=gpt-5-mini", said)

    assert answer.status_code == 302
    newest, first = prices.history("openai", "gpt-5-mini")
    assert (newest.input_nanos, newest.output_nanos, newest.cached_input_nanos) == (
        300_000_000,
        2_400_000_000,
        None,
    )
    assert (newest.currency, newest.by, newest.source) == ("USD", "mei", "staff")
    assert newest.from_at == datetime(2026, 12, 1, tzinfo=UTC)
    assert first.input_nanos == NANOS
    html = page(staff, "/console/money/prices/", provider="openai", model="gpt-5-mini")
    assert "new list" in html


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ({"input_nanos": "-1", "output_nanos": "1"}, "from 0 to"),
        ({"input_nanos": "1"}, "both input and output"),
    ],
)
def test_a_price_that_cannot_be_right_is_told(staff: Client, said: dict[str, str], sentence: str) -> None:
    answer = staff.post("/console/money/prices/?provider=openai&model=m", {"currency": "USD", **said})

    assert sentence in answer.content.decode()
    assert not Price.objects.exists()


def test_a_rate_is_written(staff: Client) -> None:
    assert staff.post("/console/money/rates/", {"currency": "cny", "rate_nanos": "0.1386"}).status_code == 302
    assert (
        "above 0"
        in staff.post("/console/money/rates/", {"currency": "CNY", "rate_nanos": "0"}).content.decode()
    )

    row = ExchangeRate.objects.get()
    assert (row.currency, row.into, row.rate_nanos, row.by) == ("CNY", "USD", 138_600_000, "mei")


def test_a_models_name_is_text_and_nothing_else(staff: Client) -> None:
    books.price(model="<script>alert(1)</script>")
    turn = books.turn()
    billing.settle([end(books.call(turn, model="<script>alert(1)</script>"))])

    for address in ADDRESSES[:2] + ADDRESSES[4:5]:
        assert "<script>alert" not in page(staff, address)


# Bars


def _days(values: list[list[float]]) -> list[charts.Day]:
    first = datetime(2026, 11, 1, tzinfo=UTC).date()
    return [charts.Day(first + timedelta(days=index), each, "") for index, each in enumerate(values)]


def _tops(chart: charts.Chart) -> Iterator[float]:
    for bar in chart.bars:
        yield min((float(each.y) for each in bar.parts), default=float(chart.base_y))


def test_bars_are_as_high_as_their_values_and_stay_inside() -> None:
    chart = charts.draw(_days([[1, 1], [2, 0], [0, 0], [-5, 4]]), width=400, height=200, today=books.today())

    first, second, third, fourth = _tops(chart)
    assert first == pytest.approx(second, abs=0.2)
    assert third == float(chart.base_y)
    assert float(chart.base_y) - fourth == pytest.approx(2 * (float(chart.base_y) - first), abs=0.5)
    assert all(charts.TOP - 0.1 <= each <= float(chart.base_y) for each in _tops(chart))
    assert all(float(bar.x) + float(bar.width) <= 400 for bar in chart.bars)


@pytest.mark.parametrize("highest", [0, 0.0003, 0.9, 7, 99, 12_345])
def test_the_grid_is_round_and_reaches_above_the_highest(highest: float) -> None:
    chart = charts.draw(
        _days([[highest]]), width=400, height=200, today=books.today(), limit=(highest, "limit")
    )

    assert len(chart.grid) == charts.GRID_LINES
    assert min(_tops(chart)) >= charts.TOP - 0.1
    assert (chart.limit is not None) is (highest >= 0)


def test_the_records_lead_from_an_attempt_to_its_lines(staff: Client, spent: None) -> None:
    row = Completion.objects.filter(turn__isnull=False).latest("pk")

    attempts = page(staff, f"/admin/conversations/completion/?q={row.pk}")
    lines = page(staff, "/admin/conversations/ledgerentry/", completion__id__exact=row.pk)
    found = page(staff, "/admin/conversations/ledgerentry/", q=str(row.turn_id))

    assert f"/admin/conversations/ledgerentry/?completion__id__exact={row.pk}" in attempts
    for html in (lines, found):
        assert html.count("/admin/conversations/completion/" + row.pk) == 2  # its hold and what closed it
    assert staff.post("/admin/conversations/ledgerentry/add/", {}).status_code == 403
