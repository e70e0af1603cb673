"""Keeps `<think>…</think>` text apart from the answer, however the stream cuts the tags."""

from chatbot.providers.events import ReasoningDelta, TextDelta
from chatbot.providers.wire import Reader

OPEN, CLOSE = "<think>", "</think>"


class ThinkFilter:
    """Feeds on text deltas and says which parts are thinking. Space around a block is dropped.

    `is_open`: the answer begins within a block, whose first tag the service has put into the prompt."""

    def __init__(self, *, is_open: bool = False) -> None:
        self._held = ""
        self._is_thinking = self._is_open = is_open
        self._at_start = True  # of the answer or of a part after a block: leading space goes

    def feed(self, text: str) -> list[tuple[bool, str]]:
        """Return parts in order, each with whether it is thinking. A tail that may be the beginning of
        a tag is held back."""
        parts: list[tuple[bool, str]] = []
        if not self._held and not self._is_open and "<" not in text:  # nearly always
            self._add(parts, text)
            return parts
        rest = self._held + text
        self._held = ""
        if self._is_open:  # it may stand there all the same
            if OPEN.startswith(rest.lstrip()):
                self._held = rest
                return parts
            self._is_open = False
            rest = rest.lstrip().removeprefix(OPEN)
        while rest:
            tag = CLOSE if self._is_thinking else OPEN
            before, found, after = rest.partition(tag)
            if not found:
                keep = _overlap(rest, tag)
                before, self._held, after = rest[: len(rest) - keep], rest[len(rest) - keep :], ""
            self._add(parts, before)
            if found:
                self._is_thinking = not self._is_thinking
                self._at_start = True
            rest = after
        return parts

    def end(self) -> list[tuple[bool, str]]:
        """What was held back was no tag."""
        parts: list[tuple[bool, str]] = []
        self._add(parts, self._held)
        self._held = ""
        return parts

    def _add(self, parts: list[tuple[bool, str]], text: str) -> None:
        if self._at_start:
            text = text.lstrip()
        if text:
            self._at_start = False
            parts.append((self._is_thinking, text))


class TagReader(Reader):
    """A reader of answers in which thinking may stand between tags. `think` None: it does not."""

    def __init__(self, think: ThinkFilter | None = None) -> None:
        super().__init__()
        self._think = think

    def content(self, text: str) -> None:
        """Add a piece of the answer, tags and all."""
        if self._think:
            self._apart(self._think.feed(text))
        else:
            self.say(text)

    def deltas(self) -> list[TextDelta | ReasoningDelta]:
        if self._think and (self.finish or self.done):
            self._apart(self._think.end())
        return super().deltas()

    def _apart(self, parts: list[tuple[bool, str]]) -> None:
        for is_thinking, text in parts:
            (self.think if is_thinking else self.say)(text)


def _overlap(text: str, tag: str) -> int:
    """The length of the longest end of `text` that begins `tag`."""
    for size in range(min(len(tag) - 1, len(text)), 0, -1):
        if text.endswith(tag[:size]):
            return size
    return 0
