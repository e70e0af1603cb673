"""The scripted model service: an OpenAI-compatible stream that says what the question asks for.

A bare asyncio protocol, because it must never be the limit: 12,000 tokens a second have to leave half
a core to the load generator. Its chunks are as long as OpenAI's own. `GET /stats` tells and forgets
how late its writes were against the script.
"""

import asyncio
import sys
import time
from functools import partial

import orjson

from tests.bench.accounting import percentile
from tests.bench.script import Script, now_us, write_token

_CHUNK = (
    b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1767225600,"model":"bench",'
    b'"service_tier":"default","system_fingerprint":"fp_44709d6fcb","choices":[{"index":0,"delta":{%s},'
    b'"logprobs":null,"finish_reason":%s}],"usage":null}\n\n'
)
_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n"
    b"Transfer-Encoding: chunked\r\nCache-Control: no-cache\r\n\r\n"
)
_BEFORE, _AFTER = (_CHUNK % (b'"content":"%s"', b"null")).split(b"%s")


def spoken(text: str) -> bytes:
    """Return the event that says `text`, which needs no escapes."""
    return _BEFORE + text.encode() + _AFTER


def _chunked(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


_OPENING = _chunked(_CHUNK % (b'"role":"assistant","content":"","refusal":null', b"null"))
_STOP = _chunked(_CHUNK % (b"", b'"stop"'))
_END = _chunked(b"data: [DONE]\n\n") + b"0\r\n\r\n"


def _usage(prompt_tokens: int, completion_tokens: int) -> bytes:
    usage = {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "total_tokens": prompt_tokens + completion_tokens,
    }
    return _chunked(
        b'data: {"id":"chatcmpl-bench","object":"chat.completion.chunk","created":1767225600,'
        b'"model":"bench","choices":[],"usage":%s}\n\n' % orjson.dumps(usage)
    )


class Upstream(asyncio.Protocol):
    """One kept-alive connection; one stream at a time runs on it."""

    lags_us: list[int]

    def __init__(self, lags_us: list[int]) -> None:
        self.lags_us = lags_us
        self._received = b""
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport to write to."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._loop = asyncio.get_running_loop()

    def connection_lost(self, exc: Exception | None) -> None:
        """Say no more to one who has left."""
        if self._timer is not None:
            self._timer.cancel()

    def data_received(self, data: bytes) -> None:
        """Answer every request that is whole."""
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            head = self._received[:end].lower()
            _, mark, rest = head.partition(b"content-length:")
            length = int(rest.split(b"\r\n", 1)[0]) if mark else 0
            if len(self._received) < end + 4 + length:
                return
            body = self._received[end + 4 : end + 4 + length]
            self._received = self._received[end + 4 + length :]
            self._answer(head.split(b"\r\n", 1)[0], body)

    def _answer(self, request: bytes, body: bytes) -> None:
        if request.startswith(b"post /v1/chat/completions"):
            self._stream(orjson.loads(body))
        elif request.startswith(b"get /stats"):
            stats = {
                "cpu_s": time.process_time(),
                "lag_p99_us": percentile(self.lags_us, 99) if self.lags_us else 0,
                "tokens": len(self.lags_us),
            }
            self.lags_us.clear()
            self._json(b"200 OK", orjson.dumps(stats))
        else:
            self._json(
                b"404 Not Found", b'{"error":{"message":"Unknown path.","type":"invalid_request_error"}}'
            )

    def _json(self, status: bytes, body: bytes) -> None:
        head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
        self._transport.write(head % (status, len(body)) + body)

    def _stream(self, request: dict[str, list[dict[str, str]]]) -> None:
        questions = [message["content"] for message in request["messages"] if message["role"] == "user"]
        script = Script.read(questions[-1])
        words = sum(len(message["content"]) for message in request["messages"]) // 4
        started = self._loop.time()
        self._transport.write(_HEAD)
        step = partial(self._token, 0, script, words, started + script.think_ms / 1000)
        self._timer = self._loop.call_at(started + script.think_ms / 1000, step)

    def _token(self, number: int, script: Script, words: int, due: float) -> None:
        sent_us = now_us()
        self.lags_us.append(sent_us - int(due * 1e6))
        chunk = _chunked(spoken(write_token(number, sent_us)))
        number += 1
        if number == 1:
            chunk = _OPENING + chunk
        if number < script.tokens:
            self._transport.write(chunk)
            due += 1 / script.rate
            self._timer = self._loop.call_at(due, self._token, number, script, words, due)
        else:
            self._transport.write(chunk + _STOP + _usage(words, number) + _END)


async def serve() -> None:
    """Listen on a free port, print it, and answer until ended."""
    lags_us: list[int] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Upstream(lags_us), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        sys.exit(130)
