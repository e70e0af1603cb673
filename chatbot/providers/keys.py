"""Keys: held so that they show up nowhere, and taken in turn where there are several."""

import re
import time
from collections.abc import Callable, Iterable

REST_S = 300.0  # a refused key is left alone for so long, then tried again
MESSAGE_CHARS = 500  # of a vendor's text in an error: enough to understand, not a page

# What the common vendors' keys look like; services echo them, shortened or whole, in a 401.
_KEY_SHAPE = re.compile(r"\b(?:sk|gsk|pk|xai|rk|fk)[-_][A-Za-z0-9_\-*.]{4,}")


class Secret:
    """A key or password. Only `reveal` gives it away; an empty one is false."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return "Secret(…)" if self._value else "Secret()"


class KeyRing:
    """Several keys of one service, used in turn. A refused one rests for REST_S.

    When all of them rest, the one that rested longest is taken: a service whose only key was
    refused for a moment must not be lost until the next start.
    """

    def __init__(self, keys: Iterable[Secret], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = tuple(key for key in keys if key)
        self._clock = clock
        self._next = 0
        self._refused_at: dict[int, float] = {}

    def __bool__(self) -> bool:
        return bool(self._keys)

    def take(self) -> Secret:
        """Return the next key. Raises IndexError when there is none."""
        count = len(self._keys)
        if count == 1:
            return self._keys[0]
        now = self._clock()
        for step in range(count):
            index = (self._next + step) % count
            if now - self._refused_at.get(index, -REST_S) >= REST_S:
                self._next = index + 1
                return self._keys[index]
        return self._keys[min(self._refused_at, key=self._refused_at.__getitem__)]

    def refuse(self, key: Secret) -> bool:
        """Let `key` rest. True when another one is awake."""
        self._refused_at[self._keys.index(key)] = self._clock()
        return any(
            self._clock() - self._refused_at.get(index, -REST_S) >= REST_S for index in range(len(self._keys))
        )

    def all(self) -> tuple[Secret, ...]:
        return self._keys


def mask(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Take keys out of a vendor's text, and whatever would break a log line, and shorten it."""
    for secret in secrets:
        if secret:
            text = text.replace(secret.reveal(), "…")
    text = _KEY_SHAPE.sub("…", text)
    text = "".join(char if char.isprintable() else " " for char in text[: MESSAGE_CHARS * 2])
    text = " ".join(text.split())
    return text if len(text) <= MESSAGE_CHARS else text[: MESSAGE_CHARS - 1] + "…"
