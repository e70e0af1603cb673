"""What services take: requests made to fit, and what is said about it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from chatbot import config
from chatbot.providers.capabilities import ALL, SILENCE, Capabilities, fit, fit_parameters, notes
from chatbot.providers.messages import ChatMessage, CompletionRequest, JsonSchema, Parameters
from chatbot.providers.parameters import RANGED

EVERYTHING = Parameters(
    temperature=1.5,
    top_p=1.0,
    max_output_tokens=100,
    frequency_penalty=-1.0,
    presence_penalty=0.5,
    stop=("a", "b", "c"),
    reasoning_effort="low",
)
WISH = CompletionRequest(system="Be kind.", messages=(ChatMessage("user", "Hi"),), parameters=EVERYTHING)


def test_a_service_that_takes_everything_gets_everything() -> None:
    assert fit(WISH, ALL) == WISH
    assert notes(EVERYTHING, ALL) == []


def test_a_service_that_takes_nothing_gets_the_words_alone() -> None:
    assert fit(WISH, Capabilities()) == replace(WISH, parameters=Parameters())
    assert notes(EVERYTHING, Capabilities()) == [
        *(f"`{name}` is left out" for name in (*RANGED, "max_output_tokens", "reasoning_effort")),
        "`stop` keeps 0 of 3",
    ]


def test_numbers_move_to_the_nearest_end_of_the_range() -> None:
    can = replace(ALL, temperature=(0.0, 1.0), top_p=(0.01, 0.99), frequency_penalty=(0.0, 1.0), stop=2)

    sent = fit(WISH, can).parameters

    assert (sent.temperature, sent.top_p, sent.frequency_penalty, sent.stop) == (1.0, 0.99, 0.0, ("a", "b"))
    assert sent.presence_penalty == 0.5
    assert notes(EVERYTHING, can) == [
        "`temperature` 1.5 is sent as 1",
        "`top_p` 1 is sent as 0.99",
        "`frequency_penalty` -1 is sent as 0",
        "`stop` keeps 2 of 3",
    ]


def test_what_nobody_asked_for_is_not_sent_and_not_spoken_of() -> None:
    assert fit(replace(WISH, parameters=Parameters()), ALL).parameters == Parameters()
    assert notes(Parameters(), Capabilities()) == []


@pytest.mark.parametrize(
    ("json", "can", "promised"),
    [
        (None, Capabilities(), True),
        ("object", Capabilities(json_object=True), True),
        ("object", Capabilities(json_schema=True), False),
        (JsonSchema("x", {}), Capabilities(json_schema=True), True),
        (JsonSchema("x", {}), Capabilities(json_object=True), False),
    ],
)
def test_json_is_promised_or_checked_here(json: Any, can: Capabilities, promised: bool) -> None:
    wish = Parameters(json=json)

    assert can.promises(wish) is promised
    assert notes(wish, can) == ([] if promised else ["`json` is asked for in the prompt and checked here"])


@pytest.mark.parametrize(("asked", "sent"), [("none", "none"), ("high", "high"), ("max", "high")])
def test_nobody_is_told_to_think_harder_than_he_can(asked: Any, sent: str) -> None:
    wish, can = Parameters(reasoning_effort=asked), Capabilities(reasoning_effort=True)

    assert fit_parameters(wish, can).reasoning_effort == sent
    assert fit_parameters(wish, ALL).reasoning_effort == asked
    assert notes(wish, can) == ([] if asked == sent else ["`reasoning_effort` max is sent as high"])


@pytest.mark.parametrize(
    ("messages", "sent"),
    [
        ([("user", "Hi")], [("user", "Be kind.\n\nHi")]),
        ([], [("user", "Be kind.")]),
        ([("assistant", "Hello")], [("user", "Be kind.\n\n…"), ("assistant", "Hello")]),
    ],
)
def test_a_system_prompt_without_a_place_goes_before_the_first_question(messages: Any, sent: Any) -> None:
    wish = replace(WISH, messages=tuple(ChatMessage(*one) for one in messages))

    fitted = fit(wish, replace(ALL, system=False))

    assert fitted.system == ""
    assert [(one.role, one.text) for one in fitted.messages] == sent
    assert fit(replace(wish, system=""), replace(ALL, system=False)).messages == wish.messages


@pytest.mark.parametrize(
    ("messages", "sent"),
    [
        ([], []),
        (
            [("user", "a"), ("assistant", "b"), ("user", "c")],
            [("user", "a"), ("assistant", "b"), ("user", "c")],
        ),
        ([("user", "a"), ("user", "b")], [("user", "a\n\nb")]),
        ([("user", "a"), ("assistant", " "), ("user", "b")], [("user", "a\n\nb")]),
        (
            [("assistant", "a"), ("user", "b")],
            [(SILENCE.role, SILENCE.text), ("assistant", "a"), ("user", "b")],
        ),
    ],
)
def test_the_two_take_turns_where_they_must(messages: Any, sent: Any) -> None:
    wish = replace(WISH, messages=tuple(ChatMessage(*one) for one in messages))

    fitted = fit(wish, replace(ALL, alternation=True))

    assert [(one.role, one.text) for one in fitted.messages] == sent
    assert fit(wish, ALL).messages == wish.messages


def test_the_operator_is_told_what_each_model_of_a_route_does_not_take(tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text("""\
providers:
  old: {kind: anthropic, api_version: "2023-06-01"}
  new: {kind: anthropic}
  away: {kind: anthropic, api_key: "${NOT_SET}"}
models:
  first: {provider: old, model: claude-3-haiku, temperature: 1.5}
  second: {provider: new, model: claude-opus-4-6, reasoning_effort: low}
  third: {provider: away, model: claude-opus-4-6}
routes:
  default: [{first: 1, second: 1}, third]
  creative: {steps: [second], temperature: 1.0, top_p: 0.9}
""")

    catalog = config.load(tmp_path / "config.yaml", {}).build()

    assert catalog.notes() == [
        "Route `default`, model `first`: `temperature` 1.5 is sent as 1.",
        "Route `creative`, model `second`: `temperature` is left out, `top_p` is left out.",
    ]
