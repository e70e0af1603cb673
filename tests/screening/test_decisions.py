"""What is overturned can be read again, and nothing else."""

import pytest

from conversations import decisions, rulebook
from conversations.decisions import AlreadyDecidedError, NoVerdictError, RulesUnreadableError
from conversations.models import Conversation, Decision, Message, Verdict
from conversations.moderation.masking import MASK
from tests.frame.rows import ended_turn
from tests.screening.cast import rule, screened_answer, screened_question, verdict_of

pytestmark = pytest.mark.django_db

OVERTURNED, UPHELD = Decision.OVERTURNED, Decision.UPHELD


def read(message: Message) -> tuple[str, str, str]:
    message.refresh_from_db()
    return message.status, message.text, message.withheld


def test_an_overturned_block_gives_the_answer_back() -> None:
    message = screened_answer("Please send gift cards now.", [rule("gift", "gift cards")])
    assert read(message) == ("blocked", "", "Please send gift cards now.")

    done = decisions.decide(verdict_of(message).pk, OVERTURNED, by="ann", note="It is what we sell.")

    assert done.is_message_changed
    assert read(message) == ("final", "Please send gift cards now.", "")
    row = verdict_of(message)
    assert (row.decision, row.decided_by, row.note) == (OVERTURNED, "ann", "It is what we sell.")
    assert row.decided_at is not None


def test_an_upheld_verdict_leaves_the_answer_as_it_is() -> None:
    message = screened_answer("Please send gift cards now.", [rule("gift", "gift cards")])

    done = decisions.decide(verdict_of(message).pk, UPHELD, by="ann")

    assert not done.is_message_changed
    assert read(message) == ("blocked", "", "Please send gift cards now.")


def test_only_the_overturned_passage_of_a_masked_answer_comes_back() -> None:
    rules = [rule("phone", "555-0142", "mask"), rule("mail", "ann@home.example", "mask")]
    message = screened_answer("Call 555-0142 or write to ann@home.example.", rules)
    assert read(message)[:2] == ("final", f"Call {MASK} or write to {MASK}.")

    decisions.decide(verdict_of(message, "phone").pk, OVERTURNED, by="ann")

    shown = f"Call 555-0142 or write to {MASK}."
    assert read(message) == ("final", shown, "Call 555-0142 or write to ann@home.example.")
    decisions.decide(verdict_of(message, "mail").pk, OVERTURNED, by="ann")
    assert read(message) == ("final", "Call 555-0142 or write to ann@home.example.", "")


@pytest.mark.parametrize("decision", [Decision.OPEN, UPHELD])
def test_what_another_rule_forbids_stays_out(decision: Decision) -> None:
    rules = [rule("gift", "gift cards"), rule("rude", "you fool")]
    message = screened_answer("Send gift cards, you fool.", rules)
    if decision:
        decisions.decide(verdict_of(message, "rude").pk, decision, by="ben")

    decisions.decide(verdict_of(message, "gift").pk, OVERTURNED, by="ann")

    assert read(message)[:2] == ("final", f"Send gift cards, {MASK}.")


def test_a_finding_without_a_passage_withholds_everything_until_it_is_overturned() -> None:
    message = screened_answer("Send gift cards.", [rule("gift", "gift cards")])
    row = verdict_of(message)
    whole = Verdict.objects.create(
        stage="review", source="endpoint", rule_name="violence", action="hide",
        conversation_id=row.conversation_id, message=message,
    )  # fmt: skip

    decisions.decide(row.pk, OVERTURNED, by="ann")
    assert read(message)[:2] == ("hidden", "")

    decisions.decide(whole.pk, OVERTURNED, by="ann")
    assert read(message) == ("final", "Send gift cards.", "")


def test_what_no_verdict_was_ever_about_is_screened_before_it_is_shown() -> None:
    gift = rule("gift", "gift cards")
    message = screened_answer("Send gift cards, you fool.", [gift])
    rule("rude", "you fool")

    decisions.decide(verdict_of(message, "gift").pk, OVERTURNED, by="ann")

    assert read(message)[:2] == ("final", f"Send gift cards, {MASK}.")
    new = verdict_of(message, "rude")
    assert new.decision == Decision.OPEN
    decisions.decide(new.pk, OVERTURNED, by="ann")
    assert read(message)[:2] == ("final", "Send gift cards, you fool.")


def test_nothing_comes_back_while_the_rules_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    message = screened_answer("Send gift cards.", [rule("gift", "gift cards")])
    monkeypatch.setattr(rulebook, "current", lambda: 1 / 0)

    with pytest.raises(RulesUnreadableError):
        decisions.decide(verdict_of(message).pk, OVERTURNED, by="ann")

    assert read(message)[:2] == ("blocked", "")
    assert verdict_of(message).decision == Decision.OPEN


def test_the_same_words_of_one_message_are_decided_together() -> None:
    rules = [rule("shop", "help@northwind.example", "mask"), rule("ann", "ann@home.example", "mask")]
    message = screened_answer(
        "Write to help@northwind.example or ann@home.example, better to HELP@northwind.example.", rules
    )

    done = decisions.decide(Verdict.objects.filter(rule_name="shop")[0].pk, OVERTURNED, by="ann")

    assert len(done.verdicts) == 2
    assert read(message)[1] == (
        f"Write to help@northwind.example or {MASK}, better to HELP@northwind.example."
    )


def test_a_decision_can_be_taken_back_with_all_it_did() -> None:
    message = screened_answer("Send gift cards or gift cards.", [rule("gift", "gift cards")])
    before = read(message)
    first = Verdict.objects.order_by("pk")[0]

    decisions.decide(first.pk, OVERTURNED, by="ann", note="No.")
    assert read(message)[0] == "final"
    decisions.reopen(first.pk, by="ann")

    assert read(message) == before
    assert {(row.decision, row.decided_by, row.note) for row in Verdict.objects.all()} == {("", "", "")}


def test_the_second_of_two_who_disagree_is_told() -> None:
    message = screened_answer("Send gift cards.", [rule("gift", "gift cards")])
    pk = verdict_of(message).pk
    decisions.decide(pk, UPHELD, by="ann")

    assert decisions.decide(pk, UPHELD, by="ben").verdicts == ()
    with pytest.raises(AlreadyDecidedError) as told:
        decisions.decide(pk, OVERTURNED, by="ben")

    assert told.value.verdict.decided_by == "ann"
    assert read(message)[0] == "blocked"


def test_an_unknown_verdict_is_none() -> None:
    with pytest.raises(NoVerdictError):
        decisions.decide(7, UPHELD, by="ann")
    with pytest.raises(NoVerdictError):
        decisions.reopen(7, by="ann")


def test_a_question_goes_through_when_no_rule_holds_it_any_more() -> None:
    rules = [rule("gift", "gift cards"), rule("rude", "you fool")]
    message = screened_question("Gift cards, you fool?", rules)

    decisions.decide(verdict_of(message, "gift").pk, OVERTURNED, by="ann")
    assert read(message) == ("blocked", "Gift cards, you fool?", "")

    decisions.decide(verdict_of(message, "rude").pk, OVERTURNED, by="ann")
    assert read(message) == ("final", "Gift cards, you fool?", "")


def test_a_flag_says_nothing_about_the_text() -> None:
    message = screened_answer("We sell gift cards.", [rule("gift", "gift cards", "flag")])

    done = decisions.decide(verdict_of(message).pk, OVERTURNED, by="ann")

    assert not done.is_message_changed
    assert read(message) == ("final", "We sell gift cards.", "")


def test_the_list_of_conversations_tells_what_may_be_read() -> None:
    turn = ended_turn()
    message = screened_answer("Send gift cards.", [rule("gift", "gift cards")], turn=turn)
    pk = verdict_of(message).pk

    decisions.decide(pk, OVERTURNED, by="ann")
    assert Conversation.objects.get().last_line == "Send gift cards."

    decisions.reopen(pk, by="ann")
    row = Conversation.objects.get()
    assert (row.title, row.last_line) == ("Where is my parcel?", "Where is my parcel?")


def test_the_visitors_own_values_may_be_repeated_to_them() -> None:
    gift = rule("gift", "gift cards")
    mail = rule("mail", "email", "mask", kind="detector")
    turn = ended_turn()
    screened_question("I am ann@home.example.", [mail], turn=turn)
    message = screened_answer("ann@home.example buys gift cards from bo@home.example.", [gift], turn=turn)

    decisions.decide(verdict_of(message, "gift").pk, OVERTURNED, by="ann")

    assert read(message)[1] == f"ann@home.example buys gift cards from {MASK}."
