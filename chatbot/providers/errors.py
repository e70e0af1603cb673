"""What can go wrong at a model service, grouped by what the caller can do about it.

ProviderError                  `.kind` names the case, `.retryable` says whether sending again may help
├── NotUsable                  ask a person: auth, permission, not_found, quota, not_configured, budget
├── BadRequest                 change the request: invalid_request, context_length, content_filter
├── TryLater                   the same request may pass later: auth_expired, rate_limit, overloaded,
│   │                          server, timeout, unavailable, limited, bad_response
│   └── TimedOut               our own clock ran out (kind timeout): the same target is not asked again
└── IncompleteStream           the answer broke off: keep its text, never show it as a whole answer
RouteExhausted                 every target of a route has failed; `.last` is the last ProviderError
"""
# ruff: noqa: N818 (the names say what to do; "Error" is said by the base class)

import re
from typing import ClassVar, Literal, get_args

from chatbot.providers.messages import UNKNOWN_USAGE, Usage

ErrorKind = Literal[
    "auth", "auth_expired", "permission", "not_found", "invalid_request", "context_length",
    "rate_limit", "quota", "overloaded", "server", "timeout", "content_filter",
    "incomplete_stream", "unavailable", "bad_response", "limited", "not_configured", "budget",
]  # fmt: skip
# What a service calls a code or an id is one, and no sentence that may quote the question, or the key.
_WORD = re.compile(r"[A-Za-z0-9_.:/-]{1,64}")
_ID = re.compile(r"[A-Za-z0-9_.:/+=-]{1,128}")
HUNG_UP = "hung_up"  # a code: the service had the request, as far as we know, and may have worked on it
TimeoutPhase = Literal["first", "idle", "total", "route"]


class ProviderError(Exception):
    """A request to a model service came to nothing, or its answer broke off.

    `retryable` says whether the same request may pass later; `again`, whether the same target is
    worth asking once more within this turn. `retry_after_s` is what the service asked to wait,
    None if it did not say. `usage` is what is known to have been spent on the failed attempt.
    The text is for operators and logs: never for visitors, and never with a key in it.
    """

    kinds: ClassVar[tuple[ErrorKind, ...]] = ()
    retryable_by_default: ClassVar[bool] = False

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        status: int | None = None,
        code: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
        retryable: bool | None = None,
        usage: Usage = UNKNOWN_USAGE,
    ) -> None:
        if kind not in self.kinds:
            raise ValueError(f"{type(self).__name__} has no kind `{kind}`.")
        super().__init__(message)
        self.kind = kind
        self.message = message
        self.status = status
        self.code = code if code and _WORD.fullmatch(code) else None
        self.request_id = request_id if request_id and _ID.fullmatch(request_id) else None
        self.retry_after_s = retry_after_s
        self.retryable = self.retryable_by_default if retryable is None else retryable
        self.usage = usage

    @property
    def again(self) -> bool:
        """Whether one more request to the same target makes sense now."""
        return self.retryable

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.kind!r}, {self.message!r})"


class NotUsable(ProviderError):
    """A person has to act: a key, a right, a name, a bill."""

    kinds = ("auth", "permission", "not_found", "quota", "not_configured", "budget")


class BadRequest(ProviderError):
    """This request will not pass as it is."""

    kinds = ("invalid_request", "context_length", "content_filter")


class TryLater(ProviderError):
    """The same request may pass later, or with a fresh token, or elsewhere."""

    kinds = (
        "auth_expired", "rate_limit", "overloaded", "server", "timeout", "unavailable", "limited",
        "bad_response",
    )  # fmt: skip
    retryable_by_default = True


class TimedOut(TryLater):
    """Our own time-out. `phase` says which: waiting for the `first` delta, `idle` between two,
    `total` for the whole answer, or the `route`'s time for all attempts."""

    def __init__(
        self,
        phase: TimeoutPhase,
        message: str,
        *,
        request_id: str | None = None,
        usage: Usage = UNKNOWN_USAGE,
    ) -> None:
        super().__init__("timeout", message, request_id=request_id, usage=usage)
        self.phase = phase

    @property
    def again(self) -> bool:
        return False


class IncompleteStream(ProviderError):
    """The answer ended without the service's own end mark."""

    kinds = ("incomplete_stream",)
    retryable_by_default = True

    def __init__(self, message: str, *, request_id: str | None = None, usage: Usage = UNKNOWN_USAGE) -> None:
        super().__init__("incomplete_stream", message, request_id=request_id, usage=usage)


class RouteExhausted(Exception):
    """No target of the route gave an answer."""

    def __init__(self, route: str, last: ProviderError) -> None:
        super().__init__(f"Route `{route}` gave no answer: {last}")
        self.route = route
        self.last = last


def of_kind(
    kind: ErrorKind,
    message: str,
    *,
    status: int | None = None,
    code: str | None = None,
    request_id: str | None = None,
    retry_after_s: float | None = None,
    retryable: bool | None = None,
    usage: Usage = UNKNOWN_USAGE,
) -> ProviderError:
    """Make the error of the class that `kind` belongs to."""
    if kind == "incomplete_stream":
        return IncompleteStream(message, request_id=request_id, usage=usage)
    return _CLASSES[kind](
        kind,
        message,
        status=status,
        code=code,
        request_id=request_id,
        retry_after_s=retry_after_s,
        retryable=retryable,
        usage=usage,
    )


_CLASSES: dict[ErrorKind, type[ProviderError]] = {
    kind: group for group in (NotUsable, BadRequest, TryLater) for kind in group.kinds
}
assert {*_CLASSES, "incomplete_stream"} == set(get_args(ErrorKind))
