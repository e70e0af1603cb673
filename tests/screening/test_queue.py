"""The queue as staff use it: what waits, with what is around it; deciding goes on to the next."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from conversations import decisions, verdicts
from conversations.models import Decision, Message, Verdict
from tests.frame.rows import assistant, ended_turn
from tests.screening.cast import rule, screened_answer, screened_question, verdict_of
from tests.screening.reading import marked, text_of

pytestmark = pytest.mark.django_db

ROOT = "/console/moderation/"


def several(count: int) -> list[Verdict]:
    """Return verdicts of one rule, oldest first."""
    gift = rule("gift", "gift cards")
    return [verdict_of(screened_answer(f"Send {number} gift cards.", [gift])) for number in range(count)]


def test_an_empty_queue_says_so(mei: Client) -> None:
    assert "All decided." in text_of(mei.get(ROOT))
    assert "Nothing has been decided yet." in text_of(mei.get(f"{ROOT}?state=decided"))


def test_a_finding_is_shown_with_what_is_around_it(mei: Client) -> None:
    first = ended_turn()
    second = ended_turn(conversation=first.conversation)
    message = screened_answer("Sure: send gift cards.", [rule("gift", "gift cards")], turn=second)

    page = mei.get(ROOT)

    text = text_of(page)
    assert "gift Blocked" in text
    assert "Answer, while it is written" in text
    assert "1 hit, 0 overturned" in text
    assert text.count("Where is my parcel?") == 2
    assert "The visitor sees that it was withdrawn." in text
    assert marked(page) == ["gift cards", "gift cards"]  # in the list and in the text
    assert message.withheld == "Sure: send gift cards."


def test_deciding_goes_on_to_the_next_and_can_be_undone(mei: Client) -> None:
    oldest, middle, newest = several(3)

    page = mei.post(f"{ROOT}{newest.pk}/", {"decision": "overturned", "note": "Fine."}, follow=True)

    assert page.redirect_chain == [(f"{ROOT}?chosen={middle.pk}&done={newest.pk}", 302)]
    assert "Overturned: gift." in text_of(page)
    assert "Send 1 gift cards" in text_of(page)
    assert Message.objects.get(verdicts=newest).text == "Send 2 gift cards."

    back = mei.post(f"{ROOT}{newest.pk}/reopen/?done={newest.pk}", follow=True)

    assert "Send 2 gift cards" in text_of(back)
    assert Message.objects.get(verdicts=newest).text == ""
    assert verdicts.count_open() == 3
    mei.post(f"{ROOT}{oldest.pk}/", {"decision": "upheld"})
    assert verdicts.count_open() == 2


def test_the_last_one_leads_to_an_empty_queue(mei: Client) -> None:
    [only] = several(1)

    page = mei.post(f"{ROOT}{only.pk}/", {"decision": "upheld"}, follow=True)

    assert "All decided." in text_of(page)
    assert "Upheld: gift." in text_of(page)


def test_a_decided_one_tells_who_and_why(mei: Client) -> None:
    [only] = several(1)
    mei.post(f"{ROOT}{only.pk}/", {"decision": "upheld", "note": "<b>Fraud</b>"})

    text = text_of(mei.get(f"{ROOT}?state=decided"))

    assert "Upheld by mei" in text
    assert "<b>Fraud</b>" in text


def test_the_slower_of_two_is_told(mei: Client, jonas: Client) -> None:
    [only] = several(1)
    jonas.post(f"{ROOT}{only.pk}/", {"decision": "upheld"})

    page = mei.post(f"{ROOT}{only.pk}/", {"decision": "overturned"}, follow=True)

    assert "Somebody else decided this a moment ago" in text_of(page)
    assert "Upheld by jonas" in text_of(page)


def test_nonsense_is_not_found(mei: Client) -> None:
    [only] = several(1)

    assert mei.post(f"{ROOT}{only.pk}/", {"decision": "maybe"}).status_code == 404
    assert mei.post(f"{ROOT}{only.pk}/", {"decision": ""}).status_code == 404
    assert mei.post(f"{ROOT}999999/", {"decision": "upheld"}).status_code == 404
    assert mei.post(f"{ROOT}999999/reopen/").status_code == 404
    odd = "?chosen=x&before=-1&after=99999999999999999999&assistant=x&since=yesterday&action=x&rule=%00"
    assert mei.get(ROOT + odd).status_code == 200


FILTERS = {
    "rule=gift": 1,
    "rule=other": 0,
    "action=block": 1,
    "action=flag": 1,
    "stage=input": 1,
    "stage=output": 1,
    "source=rule": 2,
    "source=provider": 0,
    "action=block&stage=output": 1,
    "action=block&stage=input": 0,
}


@pytest.mark.parametrize("query", FILTERS)
def test_filters_narrow_it(mei: Client, query: str) -> None:
    screened_answer("Send gift cards.", [rule("gift", "gift cards")])
    screened_question("You fool.", [rule("rude", "you fool", "flag")])

    page = mei.get(f"{ROOT}?{query}")

    assert len(page.context["queue"].rows) == FILTERS[query]


def test_it_is_narrowed_to_an_assistant_and_to_days(mei: Client) -> None:
    gift = rule("gift", "gift cards")
    screened_answer("Send gift cards.", [gift])
    other = assistant("other")
    late = verdict_of(screened_answer("Send gift cards.", [gift], turn=ended_turn(of=other)))
    today = timezone.now()
    Verdict.objects.filter(pk=late.pk).update(at=today - timedelta(days=3))

    def found(query: str) -> list[int]:
        return [row.pk for row in mei.get(f"{ROOT}?{query}").context["queue"].rows]

    assert found(f"assistant={other.pk}") == [late.pk]
    assert late.pk not in found(f"since={today:%Y-%m-%d}")
    assert found(f"until={today - timedelta(days=1):%Y-%m-%d}") == [late.pk]
    day = f"{today - timedelta(days=3):%Y-%m-%d}"
    assert found(f"since={day}&until={day}") == [late.pk]


def test_pages_join_without_a_gap_or_a_repeat(mei: Client) -> None:
    gift = rule("gift", "gift cards")
    message = screened_answer("Send gift cards.", [gift])
    first = verdict_of(message)
    Verdict.objects.bulk_create(
        Verdict(stage="output", rule=first.rule, rule_name="gift", action="block", message=message,
                conversation=first.conversation, start=5, end=15)
        for _ in range(2 * verdicts.PAGE + 10)
    )  # fmt: skip

    seen: list[int] = []
    address = ROOT
    while address:
        queue = mei.get(address).context["queue"]
        seen += [row.pk for row in queue.rows]
        newer, address = queue.newer, queue.older

    assert seen == sorted(Verdict.objects.values_list("pk", flat=True), reverse=True)
    back = [row.pk for row in mei.get(newer).context["queue"].rows]
    assert back == seen[verdicts.PAGE : 2 * verdicts.PAGE]


def test_it_costs_the_same_however_many_there_are(mei: Client, django_assert_max_num_queries: object) -> None:
    gift = rule("gift", "gift cards")
    message = screened_answer("Send gift cards.", [gift])
    first = verdict_of(message)
    Verdict.objects.bulk_create(
        Verdict(stage="output", rule=first.rule, rule_name="gift", action="block", message=message,
                conversation=first.conversation, start=5, end=15)
        for _ in range(60)
    )  # fmt: skip

    with django_assert_max_num_queries(11):  # type: ignore[operator]
        assert mei.get(ROOT).status_code == 200


def test_numbers_by_rule(mei: Client) -> None:
    found = several(4)
    for each in found[:3]:
        decisions.decide(each.pk, Decision.UPHELD if each is found[0] else Decision.OVERTURNED, by="mei")
    old = verdict_of(screened_answer("You fool.", [rule("rude", "you fool")]))
    Verdict.objects.filter(pk=old.pk).update(at=timezone.now() - timedelta(days=40))

    text = text_of(mei.get(f"{ROOT}by-rule/"))

    assert "gift 4 1 2 66.7 %" in text
    assert "rude" not in text
    assert "rude 1 1 0 –" in text_of(mei.get(f"{ROOT}by-rule/?days=90"))


def test_the_front_page_tells_what_waits(jonas: Client) -> None:
    assert "waits for a decision" not in text_of(jonas.get("/console/"))
    several(1)

    page = jonas.get("/console/")

    assert "1 finding waits for a decision" in text_of(page)
    assert f'href="{ROOT}"' in page.content.decode()
