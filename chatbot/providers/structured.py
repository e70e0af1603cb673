"""JSON from a service that cannot promise it: asked for in words, checked, and corrected once.

An answer that has to be checked is not shown as it comes: its text is one delta at the end. Thinking is
passed on at once.
"""

import itertools
import re
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import fields, replace
from typing import Any

import orjson

from chatbot.providers.capabilities import Capabilities
from chatbot.providers.errors import BadRequest, ProviderError, TryLater
from chatbot.providers.events import CompletionFinished, ProviderEvent, ReasoningDelta, TextDelta
from chatbot.providers.messages import ChatMessage, CompletionRequest, JsonSchema, Usage

REQUESTS = 2  # the first and one to correct it

OBJECT = "Answer with one JSON object and nothing else: no introduction, no comment, no code fence."
BY_SCHEMA = """\
Answer with one JSON value that is valid under the JSON Schema below and nothing else: no introduction, \
no comment, no code fence.

{schema}"""
CORRECT = "That is not what was asked for: {fault} Answer again, with the corrected JSON and nothing else."

FENCED = re.compile(r"```[a-zA-Z]*\s*\n(.*?)```", re.DOTALL)

Ask = Callable[[CompletionRequest], AsyncGenerator[ProviderEvent, None]]


async def stream(
    ask: Ask, request: CompletionRequest, can: Capabilities
) -> AsyncGenerator[ProviderEvent, None]:
    """Yield the JSON that `request.parameters.json` wants, by way of `ask`, and the end. The usage is
    that of all requests together.

    An answer that did not come to its own end (by length, or filtered) is passed on unchecked: its finish
    says so. Raises TryLater (`bad_response`) when the second answer is not right either.
    """
    wanted = request.parameters.json
    assert wanted is not None
    if isinstance(wanted, JsonSchema):
        _check_schema(wanted)
    asked = _in_words(request, wanted, can)
    usage: Usage | None = None  # of the requests before
    for turn in itertools.count(1):
        said, finished = "", None
        try:
            async with aclosing(ask(asked)) as events:
                async for event in events:
                    match event:
                        case TextDelta():
                            said += event.text
                        case ReasoningDelta():
                            yield event
                        case CompletionFinished():
                            finished = event
        except ProviderError as error:
            error.usage = together(usage, error.usage) if usage else error.usage
            raise
        assert finished is not None
        usage = together(usage, finished.usage) if usage else finished.usage
        found, fault = (said, None) if finished.finish != "stop" else read(said, wanted)
        if fault is None:
            if found:
                yield TextDelta(found)
            yield replace(finished, usage=usage)
            return
        if turn == REQUESTS:
            message = f"The answer was not the JSON asked for, {turn} times."
            # The model has had its second chance: another one may do better.
            raise TryLater(
                "bad_response", message, retryable=False, request_id=finished.request_id, usage=usage
            )
        correction = ChatMessage("user", CORRECT.format(fault=fault))
        answer = (ChatMessage("assistant", said),) if said.strip() else ()
        asked = replace(asked, messages=(*asked.messages, *answer, correction))


def read(said: str, wanted: JsonSchema | str) -> tuple[str, str | None]:
    """Find the JSON in an answer: its text, and what is wrong with it as a sentence for the model, or
    None. Models like to wrap it in a code fence, or in words."""
    for text in _candidates(said):
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            continue
        if isinstance(wanted, JsonSchema):
            return text, _breach(value, wanted)
        return text, None if isinstance(value, dict) else "it is JSON, but not an object."
    return said, "it is not JSON."


def together(first: Usage, second: Usage) -> Usage:
    """What two requests have used; exact only if both are, and never less than what is known."""
    kinds = {first.kind, second.kind}
    names = [one.name for one in fields(Usage) if one.name != "kind"]
    counts: dict[str, int | None] = {}
    for name in names:
        known = [count for one in (first, second) if (count := getattr(one, name)) is not None]
        counts[name] = sum(known) if known else None
    return Usage(**counts, kind=kinds.pop() if len(kinds) == 1 else "estimated")


def _in_words(request: CompletionRequest, wanted: JsonSchema | str, can: Capabilities) -> CompletionRequest:
    """Ask for the JSON in the system prompt; the service's own JSON mode helps where there is one."""
    order, is_object = OBJECT, True
    if isinstance(wanted, JsonSchema):
        order = BY_SCHEMA.format(schema=orjson.dumps(wanted.schema).decode())
        is_object = wanted.schema.get("type") == "object"
    return replace(
        request,
        system=f"{request.system}\n\n{order}".lstrip(),
        parameters=replace(request.parameters, json="object" if can.json_object and is_object else None),
    )


def _candidates(said: str) -> Iterator[str]:
    yield said.strip()
    for fenced in FENCED.findall(said):
        yield fenced.strip()
    for opening, closing in ("{}", "[]"):
        start, end = said.find(opening), said.rfind(closing)
        if 0 <= start < end:
            yield said[start : end + 1]


def _check_schema(wanted: JsonSchema) -> None:
    from jsonschema import Draft202012Validator, SchemaError

    try:
        Draft202012Validator.check_schema(wanted.schema)
    except SchemaError as error:
        message = f"`{wanted.name}` is no JSON Schema: {error.message} at {error.json_path}."
        raise BadRequest("invalid_request", message) from error


def _breach(value: Any, wanted: JsonSchema) -> str | None:
    """How `value` breaks the schema, None if it does not."""
    # 70 ms for a process that never needs it, so not at the top.
    from jsonschema import Draft202012Validator
    from jsonschema.exceptions import best_match
    from referencing import Registry
    from referencing.exceptions import Unresolvable

    validator = Draft202012Validator(wanted.schema, registry=Registry())  # fetches nothing
    try:
        breach = best_match(validator.iter_errors(value))
    except Unresolvable as error:
        message = f"`{wanted.name}` refers to something outside itself: {error}."
        raise BadRequest("invalid_request", message) from error
    except RecursionError:
        return "it is nested too deeply."
    return f"{breach.message} (at {breach.json_path})." if breach else None
