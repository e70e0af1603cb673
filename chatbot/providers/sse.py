"""Server-sent events, split on bytes.

    : keep-alive
    event: message
    data: {"choices": …}

    data: [DONE]

Lines end with LF, CRLF or CR, never with U+2028 and its like, which JSON strings may hold. See
https://html.spec.whatwg.org/multipage/server-sent-events.html (read 2026-11-20).
"""

from typing import NamedTuple, Protocol

from chatbot.providers.errors import TryLater

MAX_EVENT_BYTES = 1 << 20  # a delta has some hundred bytes; a whole tool call or a page of text fits


class Event(NamedTuple):
    """One event: `name` is empty unless an `event:` line gave one."""

    name: bytes
    data: bytes


class Splitter(Protocol):
    """Cuts a body into events; each stream has its own."""

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that `data` completes. Raises TryLater for one that never ends."""
        ...

    def end(self) -> list[Event]:
        """The body has ended: return what it closes."""
        ...


class EventSplitter:
    """Takes the bytes of a body as they come, in any pieces, and gives back the events they complete."""

    __slots__ = ("_after_cr", "_begun", "_rest")

    def __init__(self) -> None:
        self._rest = b""  # of an event not yet closed; its line ends are LF
        self._after_cr = False
        self._begun = False

    def feed(self, data: bytes) -> list[Event]:
        """Return the events that `data` completes. Raises TryLater for one that never ends."""
        after_cr, self._after_cr = self._after_cr, data.endswith(b"\r")
        if after_cr and data.startswith(b"\n"):
            data = data[1:]
        if b"\r" in data:
            data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        if self._rest:
            data = self._rest + data
        if not self._begun and data:
            if data[:3] in (b"\xef", b"\xef\xbb"):  # half of a byte order mark
                self._rest = data
                return []
            self._begun = True
            data = data.removeprefix(b"\xef\xbb\xbf")
        *blocks, self._rest = data.split(b"\n\n")
        if len(self._rest) > MAX_EVENT_BYTES:
            message = f"An event of the stream is longer than {MAX_EVENT_BYTES} bytes."
            raise TryLater("bad_response", message)
        events = []
        for block in blocks:
            if block.startswith(b"data:") and b"\n" not in block:  # nearly all of them
                events.append(Event(b"", block[6:] if block.startswith(b"data: ") else block[5:]))
            elif event := _parse(block):
                events.append(event)
        return events

    def end(self) -> list[Event]:
        """The body has ended: what is not closed is dropped, but for a bare last `data: [DONE]`, and an
        object that stands in place of the stream: an error, under a careless gateway's label."""
        rest, self._rest = self._rest, b""
        if rest.lstrip().startswith(b"{"):
            return [Event(b"", rest)]
        event = _parse(rest)
        return [event] if event and event.data == b"[DONE]" else []


def _parse(block: bytes) -> Event | None:
    """Read the lines of one event; None when it has no data and so dispatches nothing."""
    name, data = b"", []
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return Event(name, b"\n".join(data)) if data else None
