"""For each kind of the registry that is asked over HTTP: what its service sends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
from websockets.frames import Opcode

from chatbot.providers.keys import Secret
from tests.providers import websocket
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
    whether a request asks for a stream. `status` is that of a stream: 101 over a WebSocket, which knows
    no `whole` answers, and whose connections are for one answer each. `ends_with_body`: no last word of the
    service's own ends a stream."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    content_type: str = "text/event-stream; charset=utf-8"
    delta: Callable[[str], bytes]
    thought: Callable[[str], bytes] | None = None
    end: bytes
    whole: Callable[[str], object] | None
    status: int = 200
    comment: bytes = b": keep-alive\n\n"
    frame: Callable[[bytes], bytes] = event
    strange: Sequence[bytes] = (b'{"choices": 3}', b'{"choices": [3]}')
    asks_stream: Callable[[Request], bool] = says_stream
    ends_with_body: bool = False


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


def _named(*chunks: Mapping[str, object]) -> bytes:
    """Events that name themselves twice, as Anthropic's and Cohere's do."""
    return b"".join(b"event: %b\n%b" % (str(chunk["type"]).encode(), sse(chunk)) for chunk in chunks)


def _block(delta: Mapping[str, object]) -> bytes:
    return _named({"type": "content_block_delta", "index": 0, "delta": delta})


def _content(content: Mapping[str, object]) -> bytes:
    return _named({"type": "content-delta", "index": 0, "delta": {"message": {"content": content}}})


def _candidate(part: Mapping[str, object], **more: object) -> dict[str, object]:
    return {"candidates": [{"content": {"role": "model", "parts": [part]}, "index": 0, **more}]}


def _asks_gemini_stream(request: Request) -> bool:
    return ":streamGenerateContent?alt=sse" in request.path


def line(data: bytes) -> bytes:
    """Data as a line of its own."""
    return data + b"\n"


def _lines(*objects: object) -> bytes:
    return b"".join(line(orjson.dumps(one)) for one in objects)


def _message(**message: object) -> object:
    return {"model": "m", "message": {"role": "assistant", **message}, "done": False}


DONE = {"done": True, "done_reason": "stop", "prompt_eval_count": 3, "eval_count": 2}

SAMPLES |= {
    "anthropic": Sample(
        settings={"api_key": Secret("sk-very-secret-key")},
        delta=lambda text: _block({"type": "text_delta", "text": text}),
        thought=lambda text: _block({"type": "thinking_delta", "thinking": text}),
        end=_named(
            {"type": "content_block_stop", "index": 0},
            {
                "type": "message_delta",
                "delta": {"stop_reason": "end_turn"},
                "usage": {"input_tokens": 3, "output_tokens": 2},
            },
            {"type": "message_stop"},
        ),
        whole=lambda text: {
            "type": "message",
            "content": [{"type": "text", "text": text}],
            "stop_reason": "end_turn",
            "usage": {"input_tokens": 3, "output_tokens": 2},
        },
        comment=_named({"type": "ping"}) + b": keep-alive\n\n" + _named({"type": "news", "index": 0}),
        strange=(b'{"type": "content_block_delta", "delta": 3}', b'{"content": [3]}'),
    ),
    "gemini": Sample(
        settings={"api_key": Secret("sk-very-secret-key")},
        delta=lambda text: sse(_candidate({"text": text})),
        thought=lambda text: sse(_candidate({"text": text, "thought": True})),
        end=sse(
            {
                **_candidate({"text": ""}, finishReason="STOP"),
                "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2},
            }
        ),
        whole=lambda text: {
            **_candidate({"text": text}, finishReason="STOP"),
            "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2},
        },
        strange=(b'{"candidates": 3}', b'{"candidates": [3]}'),
        asks_stream=_asks_gemini_stream,
        ends_with_body=True,
    ),
    "cohere": Sample(
        settings={"api_key": Secret("sk-very-secret-key")},
        delta=lambda text: _content({"text": text}),
        thought=lambda text: _content({"thinking": text}),
        end=_named(
            {
                "type": "message-end",
                "delta": {
                    "finish_reason": "COMPLETE",
                    "usage": {"tokens": {"input_tokens": 3.0, "output_tokens": 2.0}},
                },
            }
        )
        + sse(b"[DONE]"),
        whole=lambda text: {
            "finish_reason": "COMPLETE",
            "message": {"role": "assistant", "content": [{"type": "text", "text": text}]},
            "usage": {"tokens": {"input_tokens": 3, "output_tokens": 2}},
        },
        strange=(b'{"type": "content-delta", "delta": 3}', b'{"finish_reason": 3}'),
    ),
    "ollama": Sample(
        settings={"api_key": Secret("sk-very-secret-key")},
        content_type="application/x-ndjson",
        delta=lambda text: _lines(_message(content=text)),
        thought=lambda text: _lines(_message(content="", thinking=text)),
        end=_lines({"message": {"role": "assistant", "content": ""}, **DONE}),
        whole=lambda text: {"message": {"role": "assistant", "content": text}, **DONE},
        comment=b"\n",
        frame=line,
        strange=(b'{"message": 3}', b'{"done": true}'),
    ),
    "ollama_generate": Sample(
        settings={"api_key": Secret("sk-very-secret-key")},
        content_type="application/x-ndjson",
        delta=lambda text: _lines({"response": text, "done": False}),
        thought=lambda text: _lines({"response": "", "thinking": text, "done": False}),
        end=_lines({"response": "", **DONE}),
        whole=lambda text: {"response": text, **DONE},
        comment=b"\n",
        frame=line,
        strange=(b'{"response": 3}', b'{"done": true}'),
    ),
}


def _hunyuan(delta: Mapping[str, object], finish: str = "") -> dict[str, object]:
    return {
        "Note": "以上内容为AI生成",
        "Choices": [{"Index": 0, "Delta": {"Role": "assistant", **delta}, "FinishReason": finish}],
        "Usage": {"PromptTokens": 3, "CompletionTokens": 2, "TotalTokens": 5},
    }


def _pangu(message: Mapping[str, object], finish: str | None = None) -> dict[str, object]:
    choice = {"index": 0, "logprobs": None, "finish_reason": finish, "message": message}
    return {"id": "c", "choices": [choice], "usage": USAGE}


def _ernie(text: str, *, is_end: bool = False) -> dict[str, object]:
    return {"id": "as-1", "result": text, "is_end": is_end, "finish_reason": "normal", "usage": USAGE}


def _spark(delta: Mapping[str, object], **more: object) -> dict[str, object]:
    return {"code": 0, "sid": "cha-1", "choices": [{"delta": delta, "index": 0}], **more}


def text_frame(data: bytes) -> bytes:
    """Data as a frame of a WebSocket, with no byte in its head that looks like a line end."""
    while {10, 13} & set(websocket.frame(data)[:4]):
        data += b" "
    return websocket.frame(data)


def _spark_frame(text: Mapping[str, object], status: int = 1, **more: object) -> bytes:
    choices = {"status": status, "seq": 1, "text": [{"role": "assistant", "index": 0, **text}]}
    return text_frame(
        orjson.dumps({"header": {"code": 0, "sid": "cht-1"}, "payload": {"choices": choices, **more}})
    )


SAMPLES |= {
    "hunyuan": Sample(
        settings={"secret_id": "id-1", "secret_key": Secret("sk-very-secret-key")},
        delta=lambda text: sse(_hunyuan({"Content": text})),
        thought=lambda text: sse(_hunyuan({"Content": "", "ReasoningContent": text})),
        end=sse(_hunyuan({"Content": ""}, "stop")),
        whole=lambda text: {
            "Response": {
                "Choices": [{"Message": {"Role": "assistant", "Content": text}, "FinishReason": "stop"}],
                "Usage": {"PromptTokens": 3, "CompletionTokens": 2},
                "RequestId": "r-1",
            }
        },
        strange=(b'{"Choices": 3}', b'{"Response": {"Choices": [3]}}'),
        asks_stream=lambda request: bool(request.json["Stream"]),
    ),
    "spark": Sample(
        settings={"api_key": Secret("sk-very-secret-key")},
        delta=lambda text: sse(_spark({"role": "assistant", "content": text})),
        thought=lambda text: sse(_spark({"content": "", "reasoning_content": text})),
        end=sse(_spark({"content": ""}, usage=USAGE), b"[DONE]"),
        whole=lambda text: {
            "code": 0,
            "sid": "cha-1",
            "choices": [{"message": {"role": "assistant", "content": text}, "index": 0}],
            "usage": USAGE,
        },
    ),
    "spark_ws": Sample(
        settings={
            "app_id": "app-1",
            "api_key": Secret("key-1"),
            "api_secret": Secret("sk-very-secret-key"),
        },
        status=101,
        delta=lambda text: _spark_frame({"content": text}),
        thought=lambda text: _spark_frame({"content": "", "reasoning_content": text}),
        end=_spark_frame({"content": ""}, 2, usage={"text": USAGE}) + websocket.close(1000),
        whole=None,
        comment=websocket.frame(b"still there", Opcode.PING),
        frame=text_frame,
        strange=(b'{"header": 3}', b'{"header": {"code": 0}, "payload": {"choices": 3}}'),
    ),
    "pangu": Sample(
        settings={"api_key": Secret("sk-very-secret-key"), "project_id": "p-1", "deployment_id": "d-1"},
        delta=lambda text: sse(_pangu({"content": text})),
        thought=lambda text: sse(_pangu({"content": "", "reasoning_content": text})),
        end=sse(_pangu({"content": ""}, "stop"), b"[DONE]"),
        whole=lambda text: _pangu({"role": "assistant", "content": text}, "stop"),
    ),
    "qianfan": Sample(
        settings={"client_id": "id-1", "client_secret": Secret("sk-very-secret-key")},
        delta=lambda text: sse(_ernie(text)),
        end=sse(_ernie("", is_end=True)),
        whole=lambda text: _ernie(text),
        strange=(b'{"result": 3, "is_end": false}', b'{"choices": []}'),
    ),
}


def reply(sample: Sample, *pieces: Piece, **more: Any) -> Reply:
    """An answer of this kind of service."""
    return Reply(status=sample.status, headers={"content-type": sample.content_type}, pieces=pieces, **more)


def answer(sample: Sample, *texts: str) -> bytes:
    """The whole body that says these deltas."""
    return b"".join(sample.delta(text) for text in texts) + sample.end
