"""What a service takes, as data; and how a request is made to fit it.

A knob that a service lacks is left out, a number outside its range is moved to the nearest end: `notes`
tells the operator. What would change the meaning is not dropped: JSON that a service cannot promise is
asked for in words and checked (structured.py), a system prompt without a place of its own goes in front
of the first question.
"""

from dataclasses import dataclass, replace
from typing import Any, get_args

from chatbot.providers.messages import ChatMessage, CompletionRequest, JsonSchema, Parameters, ReasoningEffort
from chatbot.providers.parameters import RANGED, Range

EFFORTS: tuple[ReasoningEffort, ...] = get_args(ReasoningEffort)  # the least first
ANY_NUMBER = 1000  # of stop sequences: more than anybody has

# In front of an answer that nobody asked for, where a conversation must begin with the visitor.
SILENCE = ChatMessage("user", "…")


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What one model at one service takes. The defaults are a service that takes nothing but text.

    Ranges are what it accepts, both ends included; None: it does not know the parameter. `stop` is how
    many stop sequences it takes. `json_object` and `json_schema` are promises of the service itself.
    `most_effort` is the hardest that it can be told to think. `system`: it has a place for a system prompt.
    `alternation`: the visitor must begin, and the two must take turns.
    """

    temperature: Range | None = None
    top_p: Range | None = None
    max_output_tokens: bool = False
    frequency_penalty: Range | None = None
    presence_penalty: Range | None = None
    stop: int = 0
    json_object: bool = False
    json_schema: bool = False
    reasoning_effort: bool = False
    most_effort: ReasoningEffort = "high"
    system: bool = True
    alternation: bool = False

    def promises(self, parameters: Parameters) -> bool:
        """Whether the service itself sees to the form of the answer."""
        match parameters.json:
            case None:
                return True
            case JsonSchema():
                return self.json_schema
            case _:
                return self.json_object


# Everything there is, in our own ranges.
ALL = Capabilities(
    temperature=(0.0, 2.0),
    top_p=(0.0, 1.0),
    max_output_tokens=True,
    frequency_penalty=(-2.0, 2.0),
    presence_penalty=(-2.0, 2.0),
    stop=ANY_NUMBER,
    json_object=True,
    json_schema=True,
    reasoning_effort=True,
    most_effort="max",
)


def fit(request: CompletionRequest, can: Capabilities) -> CompletionRequest:
    """The request as this service can be asked. `parameters.json` stays as it is: see `promises`."""
    system, messages = request.system, request.messages
    if can.alternation:
        messages = _in_turn(messages)
    if system and not can.system:
        first, *others = messages or (ChatMessage("user", ""),)
        if first.role == "assistant":
            first, others = SILENCE, [first, *others]
        messages = (ChatMessage("user", f"{system}\n\n{first.text}".rstrip()), *others)
        system = ""
    return CompletionRequest(
        system=system, messages=messages, parameters=fit_parameters(request.parameters, can)
    )


def fit_parameters(asked: Parameters, can: Capabilities) -> Parameters:
    """The parameters that are sent."""
    sent: dict[str, Any] = {"stop": asked.stop[: can.stop]}
    for name in RANGED:
        value: float | None = getattr(asked, name)
        allowed: Range | None = getattr(can, name)
        sent[name] = None if value is None or allowed is None else min(max(value, allowed[0]), allowed[1])
    for name in ("max_output_tokens", "reasoning_effort"):
        sent[name] = getattr(asked, name) if getattr(can, name) else None
    if sent["reasoning_effort"] is not None:
        sent["reasoning_effort"] = min(sent["reasoning_effort"], can.most_effort, key=EFFORTS.index)
    return replace(asked, **sent)


def notes(asked: Parameters, can: Capabilities) -> list[str]:
    """What becomes of parameters that cannot be sent as asked, a part of a sentence for each."""
    sent = fit_parameters(asked, can)
    said = []
    for name in (*RANGED, "max_output_tokens", "reasoning_effort"):
        before, after = getattr(asked, name), getattr(sent, name)
        if before is not None and after is None:
            said.append(f"`{name}` is left out")
        elif before != after:
            said.append(f"`{name}` {_said(before)} is sent as {_said(after)}")
    if len(sent.stop) < len(asked.stop):
        said.append(f"`stop` keeps {len(sent.stop)} of {len(asked.stop)}")
    if not can.promises(asked):
        said.append("`json` is asked for in the prompt and checked here")
    return said


def _said(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _in_turn(messages: tuple[ChatMessage, ...]) -> tuple[ChatMessage, ...]:
    """Neighbours of one side as one message, the visitor first, nothing empty."""
    turns: list[ChatMessage] = []
    for message in messages:
        if not message.text.strip():
            continue
        if not turns and message.role == "assistant":
            turns.append(SILENCE)
        if turns and turns[-1].role == message.role:
            turns[-1] = replace(message, text=f"{turns[-1].text}\n\n{message.text}")
        else:
            turns.append(message)
    return tuple(turns)
