"""Newline-delimited JSON, split on bytes: one object a line.

    {"message": {"content": "Hi"}, "done": false}
    {"message": {"content": ""}, "done": true, "done_reason": "stop"}

See https://github.com/ndjson/ndjson-spec (read 2026-11-20). JSON strings hold no bare line end, so CRLF
and CR end a line as well as LF does.
"""

import orjson

from chatbot.providers.errors import TryLater
from chatbot.providers.sse import MAX_EVENT_BYTES, Event


class LineSplitter:
    """Takes the bytes of a body as they come, in any pieces, and gives back the lines they complete."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Event]:
        """Return the lines that `data` completes, without the empty ones. Raises TryLater for one that
        never ends."""
        *lines, self._rest = (self._rest + data).replace(b"\r", b"\n").split(b"\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            raise TryLater("bad_response", f"A line of the stream is longer than {MAX_EVENT_BYTES} bytes.")
        return [Event(b"", line) for line in lines if line]

    def end(self) -> list[Event]:
        """The body has ended: a last line needs no line end if it is a whole object."""
        line, self._rest = self._rest, b""
        try:
            orjson.loads(line)
        except orjson.JSONDecodeError:
            return []
        return [Event(b"", line)]
