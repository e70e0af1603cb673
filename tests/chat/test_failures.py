"""Model services fail in every way there is; visitors get what can be had, and calm words."""

import pytest
from django.db import OperationalError
from pytest_django import Settings

from chatbot.providers.messages import Usage
from conversations import asking, turns
from conversations.models import Completion, CompletionStatus, Conversation, HistoryWindow, Message, Turn
from tests.chat.cast import Tab
from tests.chat.conftest import Processes, Tabs
from tests.chat.fate import Process
from tests.chat.puppet import Puppet

pytestmark = pytest.mark.django_db(transaction=True)


async def _completions() -> list[tuple[int, str, str, str]]:
    return [
        (row.number, row.status, row.error, row.usage_kind)
        async for row in Completion.objects.order_by("number")
    ]


async def test_a_route_without_an_answer_ends_the_turn_as_failed(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).fail("auth")
    error = await anna.see("error", code="model_unavailable")
    finished = await anna.see("turn.finished")

    assert (finished["status"], finished["message"]["status"], finished["message"]["text"]) == (
        "failed",
        "failed",
        "",
    )
    assert error == {
        "type": "error",
        "code": "model_unavailable",
        "text": "Write to us at help@northwind.example.",
        "turn_id": finished["turn_id"],
    }
    assert anna.kinds()[-2:] == ["turn.finished", "error"]
    turn = await Turn.objects.aget()
    assert (turn.status, turn.error, turn.position) == ("failed", "model_unavailable", 2)
    assert await _completions() == [(1, "failed", "auth", "unknown")]


async def test_the_sentence_is_the_assistants_own_in_the_visitors_language(
    tabs: Tabs, puppet: Puppet
) -> None:
    anna = await tabs(locale="zh-hans")
    await anna.send("在哪里？", "c-1")
    (await puppet.call()).fail("auth")

    error = await anna.see("error", code="model_unavailable")

    assert error["text"] == "暂时无法回答。您的问题已保存。"  # the version says nothing in Chinese


async def test_every_tab_hears_of_a_failure(anna: Tab, puppet: Puppet, tabs: Tabs, other: Process) -> None:
    await anna.send("Where is it?", "c-1")
    call = await puppet.call()
    everyone = [anna, await tabs(token=anna.token), await tabs(other, token=anna.token)]
    call.fail("auth")

    for tab in everyone:
        await tab.see("error", code="model_unavailable")
        assert tab.kinds("pong")[-2:] == ["turn.finished", "error"]


async def test_a_second_attempt_is_a_second_completion(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call(1)).fail("server")
    (await puppet.call(2)).say("On its way.").finish()
    finished = await anna.see("turn.finished")

    assert (finished["status"], finished["message"]["text"]) == ("completed", "On its way.")
    assert await _completions() == [(1, "failed", "server", "unknown"), (2, "completed", "", "exact")]
    windows = [row async for row in HistoryWindow.objects.order_by("completion__number")]
    assert [row.sent for row in windows] == [[1], [1]]
    assert windows[0].hmac != windows[1].hmac  # each has its own salt


async def test_two_failed_attempts_are_the_end(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call(1)).fail("overloaded")
    (await puppet.call(2)).fail("overloaded")
    finished = await anna.see("turn.finished")

    assert finished["status"] == "failed"
    assert await _completions() == [
        (1, "failed", "overloaded", "unknown"),
        (2, "failed", "overloaded", "unknown"),
    ]


async def test_a_cut_answer_is_interrupted_and_keeps_its_text(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).say("On ", "its ").cut()
    finished = await anna.see("turn.finished")

    assert (finished["status"], finished["message"]["status"]) == ("interrupted", "interrupted")
    assert finished["message"]["text"] == "On its "
    assert not anna.seen("error")
    completion = await Completion.objects.aget()
    assert (completion.status, completion.error, completion.usage_kind) == (
        "failed",
        "incomplete_stream",
        "estimated",
    )
    assert len(puppet.calls) == 1


async def test_an_answer_cut_before_its_first_word_is_asked_for_again(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call(1)).think("Hm.").cut()
    (await puppet.call(2)).say("On its way.").finish()

    assert (await anna.see("turn.finished"))["status"] == "completed"
    assert await _completions() == [
        (1, "failed", "incomplete_stream", "estimated"),
        (2, "completed", "", "exact"),
    ]


async def test_what_a_model_thinks_is_not_shown(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).think("A secret.").say("On its way.").finish()
    await anna.see("turn.finished")

    assert "secret" not in str(anna.frames)
    assert not await Message.objects.filter(text__contains="secret").aexists()


@pytest.mark.parametrize("said", [[], ["Something ", "forbidden"]])
async def test_an_answer_the_service_filters_is_withdrawn(
    anna: Tab, puppet: Puppet, tabs: Tabs, said: list[str]
) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).say(*said).finish("content_filter")
    finished = await anna.see("turn.finished")
    late = await tabs(token=anna.token)
    await late.say("conversations.list")
    listed = await late.see("conversations")

    sentence = "This answer was withdrawn because it did not meet our rules."
    assert (finished["status"], finished["message"]["status"], finished["message"]["text"]) == (
        "blocked",
        "blocked",
        sentence,
    )
    assert late.shown[-1] == ("assistant", "blocked", sentence)
    assert "forbidden" not in str(listed)
    assert (await Completion.objects.aget()).finish == "content_filter"


async def test_a_filter_that_comes_as_an_error_withdraws_the_answer_as_well(
    anna: Tab, puppet: Puppet
) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).say("Something ", "forbidden").fail("content_filter")
    finished = await anna.see("turn.finished")

    assert (finished["status"], finished["message"]["status"]) == ("blocked", "blocked")
    assert "forbidden" not in finished["message"]["text"]
    assert await _completions() == [(1, "failed", "content_filter", "estimated")]


async def test_a_question_the_service_refuses_is_not_shopped_around(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).fail("content_filter")
    finished = await anna.see("turn.finished")

    assert finished["status"] == "blocked"
    assert await _completions() == [(1, "failed", "content_filter", "unknown")]


async def test_an_answer_at_its_longest_is_whole(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).say("On its").finish("length")

    assert (await anna.see("turn.finished"))["status"] == "completed"
    assert (await Completion.objects.aget()).finish == "length"


async def test_nul_characters_of_a_model_go(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).say("\0", "On\0 its ", "\0\0", "way.").finish()
    finished = await anna.see("turn.finished")

    assert finished["message"]["text"] == "On its way."
    assert "".join(frame["text"] for frame in anna.seen("turn.delta")) == "On its way."


async def test_half_characters_of_a_model_do_no_harm(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).say("On \ud83d", "its way.").finish()
    finished = await anna.see("turn.finished")

    assert finished["message"]["text"] == "".join(frame["text"] for frame in anna.seen("turn.delta"))
    assert finished["message"]["text"].endswith("its way.")


async def test_an_endless_answer_is_ended(anna: Tab, puppet: Puppet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "MAX_ANSWER_CHARS", 20)
    await anna.send("Where is it?", "c-1")
    call = await puppet.call()
    call.say("0123456789", "0123456789", "0")
    finished = await anna.see("turn.finished")

    assert (finished["status"], finished["message"]["text"]) == ("interrupted", "0123456789" * 2)
    assert call.is_closed


async def test_questions_longer_than_the_model_takes_fail(
    processes: Processes, tabs: Tabs, puppet: Puppet
) -> None:
    anna = await tabs(await processes(context_tokens=600, max_output_tokens=500))
    await anna.send("word " * 700, "c-1")
    finished = await anna.see("turn.finished")

    assert (finished["status"], puppet.calls) == ("failed", [])
    await anna.see("error", code="model_unavailable")
    assert not await Completion.objects.aexists()


async def test_what_goes_wrong_inside_fails_the_turn(
    anna: Tab, puppet: Puppet, trouble: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr("conversations.prompting.compose", broken)
    await anna.send("Where is it?", "c-1")
    finished = await anna.see("turn.finished")

    assert finished["status"] == "failed"
    error = await anna.see("error", code="internal")
    assert error["turn_id"] == finished["turn_id"]
    assert "secret" not in str(anna.frames)


async def test_a_database_that_is_away_at_the_end_is_waited_for(
    anna: Tab, puppet: Puppet, monkeypatch: pytest.MonkeyPatch
) -> None:
    finish, tries = turns.finish, 0

    def away_for_a_while(*arguments: object, **named: object) -> object:
        nonlocal tries
        tries += 1
        if tries < 4:
            raise OperationalError("the database is away")
        return finish(*arguments, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(turns, "finish", away_for_a_while)
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).say("On its way.").finish()
    finished = await anna.see("turn.finished")

    assert (finished["status"], finished["message"]["text"], tries) == ("completed", "On its way.", 4)


# The books


async def test_a_completion_says_what_is_known_of_it(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    usage = Usage(input_tokens=40, output_tokens=9, cached_input_tokens=30, reasoning_tokens=4, kind="exact")
    (await puppet.call()).say("On its way.").finish("stop", usage)
    await anna.see("turn.finished")

    row = await Completion.objects.aget()
    assert (row.route, row.target, row.provider, row.model) == ("default", "quick", "puppet", "m-1")
    assert (row.input_tokens, row.output_tokens, row.cached_input_tokens, row.reasoning_tokens) == (
        40,
        9,
        30,
        4,
    )
    assert row.first_delta_ms is not None
    assert row.total_ms is not None
    assert row.total_ms >= row.first_delta_ms >= 0
    turn = await Turn.objects.aget()
    assert turn.first_delta_ms is not None
    assert turn.first_delta_ms >= row.first_delta_ms


async def test_unknown_usage_is_estimated(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).say("On its way.").finish("stop", Usage())
    await anna.see("turn.finished")

    row = await Completion.objects.aget()
    assert row.usage_kind == "estimated"
    assert row.input_tokens
    assert row.output_tokens


async def test_what_is_known_of_a_usage_stays_and_the_rest_is_estimated(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).say("On its way.").finish("stop", Usage(output_tokens=70))
    await anna.see("turn.finished")

    row = await Completion.objects.aget()
    assert (row.usage_kind, row.output_tokens) == ("estimated", 70)
    assert row.input_tokens


async def test_thinking_is_counted_also_where_nothing_is_said_of_it(anna: Tab, puppet: Puppet) -> None:
    await anna.send("Where is it?", "c-1")
    (await puppet.call()).think("hm, hm. " * 100).fail("server")
    (await puppet.call(2)).think("so, so. " * 50).say("Here.").cut()
    await anna.see("turn.finished")

    rows = [row async for row in Completion.objects.order_by("number")]
    assert [row.usage_kind for row in rows] == ["estimated", "estimated"]
    assert all(row.reasoning_tokens and row.output_tokens for row in rows)
    first, second = ((row.output_tokens or 0, row.reasoning_tokens or 0) for row in rows)
    assert first[0] == first[1] > 200
    assert second[0] > second[1] > 100
    assert (await Message.objects.aget(role="assistant")).text == "Here."


async def test_nothing_is_left_open_in_the_books(anna: Tab, puppet: Puppet, settings: Settings) -> None:
    """Whatever happened to their turns, all completions have an end."""
    settings.LIMIT_TURNS_PER_MINUTE_VISITOR = 0
    for number, what in enumerate(("finish", "cut", "stop", "auth")):
        await anna.send(f"question {number}", f"c-{number}")
        await anna.until(lambda number=number: len(anna.seen("turn.started")) == number + 1)  # type: ignore[misc]
        turn = anna.seen("turn.started")[-1]
        call = await puppet.asked(f"question {number}")
        match what:
            case "finish":
                call.say("x").finish()
            case "cut":
                call.say("x").cut()
            case "auth":
                call.fail("auth")
            case "stop":
                call.say("x")
                await anna.sees("x")
                await anna.say("turn.stop", turn_id=turn["turn_id"])
        await anna.see("turn.finished", turn_id=turn["turn_id"])

    assert not await Completion.objects.filter(status=CompletionStatus.RUNNING).aexists()
    assert await Turn.objects.filter(finished_at__isnull=False).acount() == 4
    row = await Conversation.objects.aget()
    assert (row.answered_through, row.last_position) == (7, 8)
