"""For each kind of the registry that is asked over HTTP: what its service sends."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from chatbot.providers.keys import Secret
from tests.providers.loopback import Piece, Reply


def sse(*chunks: object) -> bytes:
    """Chunks as events, one each."""
    return b"".join(b"data: %b\n\n" % (c if isinstance(c, bytes) else orjson.dumps(c)) for c in chunks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How one kind speaks: `delta` makes the bytes of one piece of text, `thought` of one of thinking
    (None: it has none), `end` is all that follows the text, `whole` an answer in one piece."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    content_type: str = "text/event-stream; charset=utf-8"
    delta: Callable[[str], bytes]
    thought: Callable[[str], bytes] | None = None
    end: bytes
    whole: Callable[[str], object]
    comment: bytes = b": keep-alive\n\n"


def _chat(delta: Mapping[str, object], finish: str | None = None) -> object:
    return {"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}], "usage": None}


def _text(text: str, finish: str | None = None) -> object:
    return {"id": "c", "choices": [{"index": 0, "text": text, "finish_reason": finish}]}


USAGE = {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5}

SAMPLES: dict[str, Sample] = {
    "openai": Sample(
        settings={"api_key": Secret("sk-very-secret-key")},
        delta=lambda text: sse(_chat({"content": text})),
        thought=lambda text: sse(_chat({"reasoning_content": text})),
        end=sse(_chat({}, "stop"), {"choices": [], "usage": USAGE}, b"[DONE]"),
        whole=lambda text: {
            "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": USAGE,
        },
    ),
    "completions": Sample(
        settings={"api_key": Secret("sk-very-secret-key")},
        delta=lambda text: sse(_text(text)),
        end=sse(_text("", "stop"), {"choices": [], "usage": USAGE}, b"[DONE]"),
        whole=lambda text: {"choices": [{"text": text, "finish_reason": "stop"}], "usage": USAGE},
    ),
}


def reply(sample: Sample, *pieces: Piece, **more: Any) -> Reply:
    """An answer of this kind of service."""
    return Reply(headers={"content-type": sample.content_type}, pieces=pieces, **more)


def answer(sample: Sample, *texts: str) -> bytes:
    """The whole body that says these deltas."""
    return b"".join(sample.delta(text) for text in texts) + sample.end
