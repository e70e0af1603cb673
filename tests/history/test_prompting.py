"""From a window to the exact request, and its digest."""

import json
from dataclasses import replace
from typing import Any

import pytest

from chatbot.providers.messages import ChatMessage, CompletionRequest, JsonSchema, Parameters
from conversations.prompting import compose, digest, parameters_of, render_system, stored_parameters
from tests.history.test_fit import talk

KEY = b"a key"


def said(script: str) -> list[tuple[str, str]]:
    request = compose(system="S", sent=talk(script), parameters=Parameters())
    return [(message.role, message.text) for message in request.messages]


def test_visitors_are_users_and_we_are_the_assistant() -> None:
    assert said("v:hello a:hi v:bye") == [("user", "hello"), ("assistant", "hi"), ("user", "bye")]


def test_neighbours_of_one_side_become_one_message() -> None:
    assert said("v:one v:two a:three a:four v:five") == [
        ("user", "one\n\ntwo"),
        ("assistant", "three\n\nfour"),
        ("user", "five"),
    ]


def test_the_system_prompt_is_stripped_only() -> None:
    assert render_system("\n You help.\n\n {name} stays. \n") == "You help.\n\n {name} stays."


PARAMETERS = [
    Parameters(),
    Parameters(temperature=0.0, top_p=1.0, max_output_tokens=200, stop=("a", "b")),
    Parameters(json="object", reasoning_effort="low", frequency_penalty=-1.5, presence_penalty=2.0),
    Parameters(json=JsonSchema(name="answer", schema={"type": "object", "properties": {"a": {}}})),
]


@pytest.mark.parametrize("parameters", PARAMETERS, ids=repr)
def test_stored_parameters_are_read_again(parameters: Parameters) -> None:
    stored = json.loads(json.dumps(stored_parameters(parameters)))

    assert parameters_of(stored) == parameters


def test_what_is_left_to_the_service_is_not_stored() -> None:
    assert stored_parameters(Parameters(temperature=0.0)) == {"temperature": 0.0}


def test_unknown_parameters_are_an_error() -> None:
    with pytest.raises(TypeError):
        parameters_of({"temprature": 1})


REQUEST = CompletionRequest(
    system="S",
    messages=(ChatMessage("user", "a"), ChatMessage("assistant", "b"), ChatMessage("user", "c")),
    parameters=Parameters(temperature=0.5, stop=("x",)),
)
OTHERS: dict[str, dict[str, Any]] = {
    "system": {"request": replace(REQUEST, system="S ")},
    "text": {"request": replace(REQUEST, messages=(*REQUEST.messages[:2], ChatMessage("user", "C")))},
    "order": {"request": replace(REQUEST, messages=REQUEST.messages[::-1])},
    "role": {"request": replace(REQUEST, messages=(*REQUEST.messages[:2], ChatMessage("assistant", "c")))},
    "one less": {"request": replace(REQUEST, messages=REQUEST.messages[1:])},
    "parameter": {"request": replace(REQUEST, parameters=Parameters(temperature=0.6, stop=("x",)))},
    "stop": {"request": replace(REQUEST, parameters=Parameters(temperature=0.5))},
    "model": {"model": "m-2"},
    "key": {"key": b"another key"},
}


@pytest.mark.parametrize("other", OTHERS.values(), ids=OTHERS)
def test_the_digest_covers(other: dict[str, Any]) -> None:
    same: dict[str, Any] = {"request": REQUEST, "model": "m-1", "key": KEY}

    first, second = (dict(each) for each in (same, same | other))
    digests = [digest(each.pop("request"), **each) for each in (first, second)]

    assert digests[0] != digests[1]


def test_the_same_request_has_the_same_digest() -> None:
    again = CompletionRequest(
        system="S", messages=tuple(REQUEST.messages), parameters=Parameters(stop=("x",), temperature=0.5)
    )

    assert digest(REQUEST, model="m-1", key=KEY) == digest(again, model="m-1", key=KEY)
    assert len(digest(REQUEST, model="m-1", key=KEY)) == 64
