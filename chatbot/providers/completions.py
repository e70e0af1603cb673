"""Legacy text completions: one prompt in, its continuation out; no roles.

    POST {base_url}/completions   {"model": …, "prompt": "…\n\nUser: Hello\nAssistant:", "stop": …}
    data: {"object": "text_completion", "choices": [{"text": " Hi", "index": 0, "finish_reason": null}]}
    data: [DONE]

https://platform.openai.com/docs/api-reference/completions, as the openai package 3.51.0 has it (November
2026). OpenAI keeps it for gpt-3.5-turbo-instruct; vLLM and llama.cpp offer it for base models.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from chatbot.providers.base import Target
from chatbot.providers.capabilities import Capabilities
from chatbot.providers.http import HttpProvider
from chatbot.providers.messages import CompletionRequest, Parameters
from chatbot.providers.openai import ChatReader, ChatWire, OpenAISettings, connect, put
from chatbot.providers.parameters import RANGED
from chatbot.providers.tokens import TokenStore
from chatbot.providers.wire import Call, Reader

LABELS = {"user": "User:", "assistant": "Assistant:"}
OUTPUT_TOKENS = 512  # the service's own default is 16


class TextWire(ChatWire):
    """Flattens the conversation into a prompt and stops the model before it plays the visitor."""

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        can = super().capabilities(target, asked)
        return replace(can, stop=max(can.stop - 1, 0), json_object=False, json_schema=False)

    def call(self, request: CompletionRequest, target: Target) -> Call:
        parameters = request.parameters
        body: dict[str, object] = {
            "model": target.model,
            "prompt": flatten(request),
            "stream": target.stream,
            "max_tokens": parameters.max_output_tokens or OUTPUT_TOKENS,
            "stop": [f"\n{LABELS['user']}", *parameters.stop],
        }
        for name in RANGED:
            put(body, name, getattr(parameters, name))
        return Call("/completions", self.body(body, target))

    def reader(self, target: Target) -> Reader:
        return TextReader()


class TextReader(ChatReader):
    """The same chunks, with `text` in place of `delta`."""

    def __init__(self) -> None:
        super().__init__()
        self._at_start = True  # the space after the label belongs to the prompt

    def choice(self, choice: Mapping[str, Any], part: str) -> None:
        text: str = choice.get("text") or ""
        if self._at_start:
            text = text.lstrip()
        if text:
            self._at_start = False
            self.say(text)
        if reason := choice.get("finish_reason"):
            self.finished(reason)


def flatten(request: CompletionRequest) -> str:
    """The conversation as one text that ends where the assistant is to speak.

    A line of a message that looks like a label is moved in by a space, or a visitor could put words
    into the assistant's mouth.
    """
    turns = []
    for message in request.messages:
        text = message.text
        for label in LABELS.values():
            text = text.replace(f"\n{label}", f"\n {label}")
        turns.append(f"{LABELS[message.role]} {text}\n")
    return f"{request.system}\n\n" * bool(request.system) + "".join(turns) + LABELS["assistant"]


def build(name: str, settings: OpenAISettings, tokens: TokenStore) -> HttpProvider:
    """Make the provider of a `kind: completions` row."""
    return connect(name, settings, TextWire(settings), tokens)
