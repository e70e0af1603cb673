"""How the wishes of a model row, a route and a request become one set of parameters."""

from dataclasses import dataclass, fields, replace
from typing import Any

from chatbot.providers.messages import Parameters

Range = tuple[float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a route allows: lowest and highest value of each number, the longest answer. None: anything."""

    temperature: Range | None = None
    top_p: Range | None = None
    frequency_penalty: Range | None = None
    presence_penalty: Range | None = None
    max_output_tokens: int | None = None


RANGED = ("temperature", "top_p", "frequency_penalty", "presence_penalty")
NAMES = tuple(one.name for one in fields(Parameters))


def overlay(below: Parameters, above: Parameters) -> Parameters:
    """Take what `above` says, and `below` where it says nothing."""
    said: dict[str, Any] = {
        name: value for name in NAMES if (value := getattr(above, name)) is not None and value != ()
    }
    return replace(below, **said) if said else below


def clamp(parameters: Parameters, limits: Limits, *, max_output_tokens: int | None) -> Parameters:
    """Move numbers outside `limits` to the nearest end; no answer is asked to be longer than the
    shortest of the wish, the limit and the model's own `max_output_tokens` (None: unknown)."""
    moved: dict[str, Any] = {}
    for name in RANGED:
        allowed: Range | None = getattr(limits, name)
        value: float | None = getattr(parameters, name)
        if allowed and value is not None:
            moved[name] = min(max(value, allowed[0]), allowed[1])
    bounds = (parameters.max_output_tokens, limits.max_output_tokens, max_output_tokens)
    known = [bound for bound in bounds if bound is not None]
    return replace(parameters, max_output_tokens=min(known) if known else None, **moved)
