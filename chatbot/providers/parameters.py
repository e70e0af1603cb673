"""How the wishes of a model row, a route and a request become one set of parameters."""

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any, Literal, get_args

from chatbot.providers.messages import Parameters

Limited = Literal["temperature", "top_p", "max_output_tokens", "frequency_penalty", "presence_penalty"]
Limits = Mapping[Limited, tuple[float, float]]
"""Lowest and highest value a route allows, for the parameters it bounds."""

NO_LIMITS: Limits = MappingProxyType({})
LIMITED: tuple[Limited, ...] = get_args(Limited)
NAMES = tuple(one.name for one in fields(Parameters))


def overlay(below: Parameters, above: Parameters) -> Parameters:
    """Take what `above` says, and `below` where it says nothing."""
    said: dict[str, Any] = {
        name: value for name in NAMES if (value := getattr(above, name)) is not None and value != ()
    }
    return replace(below, **said) if said else below


def clamp(parameters: Parameters, limits: Limits, *, max_output_tokens: int | None) -> Parameters:
    """Move numbers outside `limits` to the nearest end; no answer may be longer than `max_output_tokens`."""
    moved: dict[str, Any] = {}
    for name, (lowest, highest) in limits.items():
        value = getattr(parameters, name)
        if value is not None and not lowest <= value <= highest:
            nearest = min(max(value, lowest), highest)
            moved[name] = int(nearest) if name == "max_output_tokens" else nearest
    longest = moved.get("max_output_tokens", parameters.max_output_tokens)
    if max_output_tokens is not None and (longest is None or longest > max_output_tokens):
        # What the target allows by default still obeys the route.
        ceiling = limits.get("max_output_tokens", (0, max_output_tokens))[1]
        moved["max_output_tokens"] = min(max_output_tokens, int(ceiling))
    return replace(parameters, **moved) if moved else parameters
