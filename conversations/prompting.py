"""From a prompt version and a window to the exact request. Pure."""

import hmac
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import orjson

from chatbot.providers.messages import ChatMessage, CompletionRequest, JsonSchema, Parameters
from conversations.history import Entry


def render_system(instructions: str, canary: str = "") -> str:
    """Return the system text of a prompt version, marked with the word that must never come out."""
    text = instructions.strip()
    return f"[{canary}]\n{text}" if canary else text


def parameters_of(stored: dict[str, Any]) -> Parameters:
    """Read stored parameters. Unknown names raise TypeError."""
    values = dict(stored)
    if isinstance(values.get("json"), dict):
        values["json"] = JsonSchema(**values["json"])
    values["stop"] = tuple(values.get("stop") or ())
    return Parameters(**values)


def stored_parameters(parameters: Parameters) -> dict[str, Any]:
    """Return what `parameters_of` reads again, without what is left to the service."""
    return {name: value for name, value in asdict(parameters).items() if value not in (None, (), [])}


def compose(*, system: str, sent: Iterable[Entry], parameters: Parameters) -> CompletionRequest:
    """Build the request. Neighbours of one side become one message, as every service takes it."""
    messages: list[ChatMessage] = []
    for entry in sent:
        role = "user" if entry.is_visitor else "assistant"
        if messages and messages[-1].role == role:
            messages[-1] = ChatMessage(messages[-1].role, f"{messages[-1].text}\n\n{entry.text}")
        else:
            messages.append(ChatMessage("user" if entry.is_visitor else "assistant", entry.text))
    return CompletionRequest(system=system, messages=tuple(messages), parameters=parameters)


def digest(request: CompletionRequest, *, model: str, key: bytes) -> str:
    """Return the HMAC-SHA256 of the whole request, in hex. The same request gives the same digest."""
    whole = {
        "model": model,
        "system": request.system,
        "messages": [[each.role, each.text] for each in request.messages],
        "parameters": stored_parameters(request.parameters),
    }
    return hmac.digest(key, orjson.dumps(whole, option=orjson.OPT_SORT_KEYS), "sha256").hex()
