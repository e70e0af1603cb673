"""What the domain refuses, each with the stable code that clients match on."""

from typing import ClassVar


class ConversationError(Exception):
    """The base of every refusal. `retry_after_s` is None where waiting does not help."""

    code: ClassVar[str] = "internal"
    retry_after_s: int | None = None


class NotFoundError(ConversationError):
    """There is no such thing, or it is somebody else's."""

    code = "not_found"


class ConflictError(ConversationError):
    """It does not fit the state things are in."""

    code = "conflict"


class UnauthorizedError(ConversationError):
    """The token is not one of ours."""

    code = "unauthorized"


class NotRunningError(ConversationError):
    """The turn has already ended."""

    code = "not_running"


class TooLongError(ConversationError):
    """More text than one message may have."""

    code = "too_long"


class RateLimitedError(ConversationError):
    """Too much in too short a time."""

    code = "rate_limited"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__(f"Wait {retry_after_s} s.")
        self.retry_after_s = retry_after_s


class BlockedInputError(ConversationError):
    """A rule keeps the message from being answered."""

    code = "blocked_input"


class BudgetExhaustedError(ConversationError):
    """There is no money left for an answer."""

    code = "budget_exhausted"


class BusyError(ConversationError):
    """Too many of this visitor's turns run at once."""

    code = "busy"
    retry_after_s = 5
