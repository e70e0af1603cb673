"""One line of a file of requests: read, checked, and turned into a request. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import orjson

from chatbot.providers.messages import ChatMessage, CompletionRequest, Parameters, ReasoningEffort
from conversations import prompting

MOST_LINE_BYTES = 16 << 20  # longer than any model reads; a file without line ends is no file of requests


def _number(lowest: float, highest: float) -> Callable[[Any], bool]:
    return lambda value: type(value) in (int, float) and lowest <= value <= highest


# What each may be, in our own ranges; see chatbot.providers.messages.Parameters.
PARAMETERS: dict[str, Callable[[Any], bool]] = {
    "temperature": _number(0, 2),
    "top_p": _number(0, 1),
    "max_output_tokens": lambda value: type(value) is int and value > 0,
    "frequency_penalty": _number(-2, 2),
    "presence_penalty": _number(-2, 2),
    "stop": lambda value: isinstance(value, list) and all(isinstance(each, str) and each for each in value),
    "json": lambda value: (
        value == "object"
        or (
            isinstance(value, dict)
            and value.keys() == {"name", "schema"}
            and isinstance(value["schema"], dict)
        )
    ),
    "reasoning_effort": lambda value: value in get_args(ReasoningEffort),
}


class BadLineError(ValueError):
    """A line that is no request; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the file of requests, `number` from 1. `error` says why it has no `request`."""

    number: int
    id: str | int
    request: CompletionRequest | None
    error: str = ""


def read_line(raw: bytes, number: int) -> Line:
    """Read one line; one that cannot be read is a line with an error."""
    name: str | int = number
    try:
        if len(raw) > MOST_LINE_BYTES:
            raise BadLineError(f"The line is longer than {MOST_LINE_BYTES >> 20} MB.")
        try:
            said = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise BadLineError(f"The line is no JSON: {error}.") from error
        if not isinstance(said, dict):
            raise BadLineError("The line is no object.")
        given = said.get("id")
        if isinstance(given, str | int) and not isinstance(given, bool):
            name = given
        elif given is not None:
            raise BadLineError("`id` must be a text or a number.")
        return Line(number, name, _request(said))
    except BadLineError as error:
        return Line(number, name, None, str(error))


def _request(said: dict[str, Any]) -> CompletionRequest:
    system = said.get("system") or ""
    if not isinstance(system, str):
        raise BadLineError("`system` must be a text.")
    if ("question" in said) == ("messages" in said):
        raise BadLineError("The line needs `question` or `messages`, and not both.")
    given = said.get("messages", [{"role": "user", "content": said.get("question")}])
    if not isinstance(given, list) or not given:
        raise BadLineError("`messages` must be a list with something in it.")
    messages = []
    for each in given:
        match each:
            case {"role": "system", "content": str(text)}:
                system = f"{system}\n\n{text}".strip()
            case {"role": "user" | "assistant" as role, "content": str(text)} if text.strip():
                messages.append(ChatMessage(role, text))
            case _ if "question" in said:
                raise BadLineError("`question` must be a text that says something.")
            case _:
                raise BadLineError("A message needs a `role` (user, assistant, system) and a `content`.")
    if not messages or messages[-1].role != "user":
        raise BadLineError("The last message must be the user's.")
    return CompletionRequest(system=system, messages=tuple(messages), parameters=_parameters(said))


def _parameters(said: dict[str, Any]) -> Parameters:
    given = said.get("parameters") or {}
    if not isinstance(given, dict):
        raise BadLineError("`parameters` must be an object.")
    for name, value in given.items():
        if name not in PARAMETERS:
            raise BadLineError(f"There is no parameter `{name}`; there are {', '.join(PARAMETERS)}.")
        if value is not None and not PARAMETERS[name](value):
            raise BadLineError(f"The parameter `{name}` cannot be {orjson.dumps(value).decode()}.")
    return prompting.parameters_of(given)
