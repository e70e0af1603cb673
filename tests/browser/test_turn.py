"""The page of one turn in a real browser: it reads well everywhere, and its links lead on."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, expect

from tests.browser.house import (
    LOOKS,
    PASSWORD,
    House,
    findings,
    is_wider_than_its_window,
    open_house,
    signed_in,
)
from tests.browser.tabs import Visitors

# A turn to which much happened: two questions, an address hidden, a first service that was overloaded.
SEED = f"""if True:
    import django
    django.setup()
    from datetime import timedelta
    from django.contrib.auth.models import User
    from django.utils import timezone
    from conversations import billing, tasks
    from conversations.models import Assistant, HistoryWindow, Message, Turn
    from tests.frame.rows import assistant, ended_turn
    from tests.money import books
    from tests.screening.cast import rule, screened_answer, screened_question
    Assistant.objects.filter(pk=assistant().pk).update(is_default=True, name="Northwind Assistant")
    User.objects.create_superuser("mei", "", {PASSWORD!r}, first_name="Mei", last_name="Lin")
    books.price()
    now = timezone.now()
    failed = dict(provider="deepseek", model="deepseek-chat", target="other", status="failed",
        error="overloaded", error_code="529", total_ms=800, input_tokens=None, output_tokens=None,
        usage_kind="unknown", request_id="0a1b-77")
    answered = dict(request_id="req_7f31c09be2", first_delta_ms=420, total_ms=1600,
        started_at=now + timedelta(milliseconds=900))
    turn = ended_turn(at=now, took_ms=2600, first_delta_ms=1400, attempts=(failed, answered))
    for completion in turn.completions.all():
        billing.hold(completion, input_tokens=100, output_tokens=800, purpose="visitor")
        HistoryWindow.objects.create(completion=completion, system="Be kind.", sent=[1, 5, 6, 7, 8],
            input_tokens=412, limit_tokens=4800, salt="s", hmac="h",
            dropped=[{{"from": 2, "to": 4, "reason": "exchanges"}}], hidden={{"1": [[5, 20, "[EMAIL_1]"]]}})
    Turn.objects.filter(pk=turn.pk).update(visible_at=now + timedelta(milliseconds=1400), takeovers=1,
        generation=2)
    mails = rule("mails", "email", "mask", kind="detector", stages=("input",))
    code = rule("codes", "swordfish", "mask")
    screened_question("I am ann@example.com. Where is my parcel?", [mails], turn=turn)
    screened_answer("It is on its way, ann@example.com. The code is swordfish.", [code], turn=turn)
    tasks.log_turn([turn.pk])
    tasks.bill_turn([turn.pk])
"""


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    with open_house(tmp_path_factory.mktemp("house"), SEED, OPENAI_API_KEY="a-key") as house:
        yield house


@pytest.fixture
def visitors(browser: Browser, house: House) -> Iterator[Visitors]:
    """Opens tabs. The test fails if any of them complains or turns to a foreign host."""
    visitors = Visitors(browser, house.origin)
    yield visitors
    visitors.close()
    assert visitors.watch.unexpected() == []


@LOOKS
def test_a_turn_reads_well_everywhere(visitors: Visitors, look: dict[str, Any]) -> None:
    page = signed_in(visitors, "/admin/conversations/turn/", **look)
    page.locator("a[href^='/console/turns/']").first.click()

    expect(page.locator(".story li")).not_to_have_count(0)
    expect(page.locator(".said")).to_have_count(2)
    expect(page.locator(".said").first).to_contain_text("ann@example.com")
    assert findings(page) == []
    assert not is_wider_than_its_window(page)
