"""For each kind of the registry that is asked over HTTP: what its service sends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from chatbot.providers.keys import Secret
from tests.providers.loopback import Piece, Reply, Request


def event(data: bytes) -> bytes:
    """Data as an event."""
    return b"data: %b\n\n" % data


def sse(*chunks: object) -> bytes:
    """Chunks as events, one each."""
    return b"".join(event(c if isinstance(c, bytes) else orjson.dumps(c)) for c in chunks)


def says_stream(request: Request) -> bool:
    """Whether the body asks for a stream."""
    return bool(request.json["stream"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """How one kind speaks: `delta` makes the bytes of one piece of text, `thought` of one of thinking
    (None: it has none), `end` is all that follows the text, `whole` an answer in one piece, `frame` puts
    data of any sort on the wire, `strange` is JSON that has another shape, and `asks_stream` tells
    whether a request asks for a stream."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    content_type: str = "text/event-stream; charset=utf-8"
    delta: Callable[[str], bytes]
    thought: Callable[[str], bytes] | None = None
    end: bytes
    whole: Callable[[str], object]
    comment: bytes = b": keep-alive\n\n"
    frame: Callable[[bytes], bytes] = event
    strange: Sequence[bytes] = (b'{"choices": 3}', b'{"choices": [3]}')
    asks_stream: Callable[[Request], bool] = says_stream


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
