"""Keys: held so that they show up nowhere, and taken in turn where there are several."""

import re
import time
from collections.abc import Callable, Iterable, Sequence

REST_S = 300.0  # a refused key is left alone for so long, then tried again
MESSAGE_CHARS = 500  # of a vendor's text in an error: enough to understand, not a page

# What the common vendors' keys look like; services echo them, shortened or whole, in a 401.
_KEY_SHAPE = re.compile(r"\b(?:sk|gsk|pk|xai|rk|fk)[-_][A-Za-z0-9_\-*.]{4,}")


class Secret:
    """A key or password. Only `reveal` gives it away; an empty one is false. One that stands in a file
    may be another the next time it is revealed."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        return self._value

    def look_again(self) -> None:
        """Look whether it has changed, however lately one has looked: it was refused."""

    def __bool__(self) -> bool:
        return bool(self.reveal())

    def __repr__(self) -> str:
        return "Secret(…)" if self else "Secret()"


class KeyRing:
    """Several keys of one service, used in turn. A refused one rests for REST_S, or until it is changed.

    When all of them rest, the one that rested longest is taken: a service whose only key was
    refused for a moment must not be lost until the next start.
    """

    def __init__(self, keys: Iterable[Secret], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._keys = tuple(key for key in keys if key)
        self._clock = clock
        self._next = 0
        self._refused: dict[Secret, tuple[float, str]] = {}  # when, and what it was then

    def __bool__(self) -> bool:
        return bool(self._keys)

    def take(self) -> Secret:
        """Return the next key. Raises IndexError when there is none."""
        return self._keys[0] if len(self._keys) == 1 else self.in_turn()[0]

    def in_turn(self) -> Sequence[Secret]:
        """Return the keys that can be used, the next one first. Empty when there is none."""
        if len(self._keys) < 2:
            return self._keys
        self._next = (self._next + 1) % len(self._keys)
        ordered = (*self._keys[self._next - 1 :], *self._keys[: self._next - 1])
        awake = [key for key in ordered if self._is_awake(key)]
        return awake or [min(self._refused, key=lambda key: self._refused[key][0])]

    def refuse(self, key: Secret, value: str) -> bool:
        """Let `key` rest, which was refused as `value`. True when another one, or what stands in its place
        by now, can be used."""
        self._refused[key] = self._clock(), value
        key.look_again()
        return any(self._is_awake(each) for each in self._keys)

    def all(self) -> tuple[Secret, ...]:
        return self._keys

    def _is_awake(self, key: Secret) -> bool:
        refused_at, value = self._refused.get(key, (-REST_S, ""))
        return self._clock() - refused_at >= REST_S or key.reveal() != value


def mask(text: str, secrets: Iterable[Secret] = ()) -> str:
    """Take keys out of a vendor's text, and whatever would break a log line, and shorten it."""
    for secret in secrets:
        if secret:
            text = text.replace(secret.reveal(), "…")
    text = _KEY_SHAPE.sub("…", text)
    text = "".join(char if char.isprintable() else " " for char in text[: MESSAGE_CHARS * 2])
    text = " ".join(text.split())
    return text if len(text) <= MESSAGE_CHARS else text[: MESSAGE_CHARS - 1] + "…"
