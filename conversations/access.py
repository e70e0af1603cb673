"""Who is there: visitors are known by a signed token."""

from django.core import signing

from conversations.errors import UnauthorizedError
from conversations.models import new_id

_SALT = "conversations.visitor"


def new_visitor() -> str:
    """Return the id of a visitor nobody knows yet. Its row comes with the first stored message."""
    return new_id()


def visitor_token(visitor_id: str) -> str:
    """Return the token by which this visitor is known again."""
    return signing.Signer(salt=_SALT).sign(visitor_id)


def visitor_of(token: str) -> str:
    """Return the visitor id in `token`, or raise UnauthorizedError."""
    try:
        return signing.Signer(salt=_SALT).unsign(token)
    except signing.BadSignature as error:
        raise UnauthorizedError("Not a token of ours.") from error
