"""What members of the staff may do: the table of roles, and the one question that all pages ask."""

from collections.abc import Mapping
from enum import Enum, StrEnum
from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser, User


class Role(StrEnum):
    """What somebody is here for; kept as the Django group of this name."""

    AUTHOR = "author"  # drafts, tries and tests prompts
    PUBLISHER = "publisher"  # publishes them, and rolls them back
    REVIEWER = "reviewer"  # reads transcripts, decides on findings
    AGENT = "agent"  # speaks with visitors
    ADMINISTRATOR = "administrator"


class Right(Enum):
    """One thing that somebody may do or not."""

    READ_TRANSCRIPTS = "read what was said"
    READ_VERDICTS = "read verdicts"
    DECIDE = "decide on verdicts"
    READ_MASKED = "read what is masked"  # personal data of visitors
    CHANGE_RULES = "change rules"
    READ_MONEY = "read what is spent"
    CHANGE_MONEY = "change prices and budgets"
    READ_RECORDS = "read the tables"  # under /admin/
    READ_AUDIT = "read who did what"


RIGHTS: Final[Mapping[Role, frozenset[Right]]] = {
    Role.AUTHOR: frozenset(),
    Role.PUBLISHER: frozenset({Right.READ_MONEY}),
    Role.REVIEWER: frozenset({Right.READ_TRANSCRIPTS, Right.READ_VERDICTS, Right.DECIDE}),
    Role.AGENT: frozenset({Right.READ_TRANSCRIPTS, Right.READ_MASKED}),
    Role.ADMINISTRATOR: frozenset(Right),
}

# Staff from before there were roles, until somebody gives them one.
WITHOUT_ROLE: Final = frozenset({Right.READ_TRANSCRIPTS, Right.READ_VERDICTS, Right.DECIDE})


def may(user: AbstractBaseUser | AnonymousUser, right: Right) -> bool:
    """Say whether `user` may.

    A member of the staff has what any of their roles gives; one without a role has WITHOUT_ROLE. A
    superuser is an administrator. Everybody has the front page, and nobody who is not staff has anything.
    """
    if not isinstance(user, User) or not user.is_active or not user.is_staff:
        return False
    roles = roles_of(user)
    return right in WITHOUT_ROLE if not roles else any(right in RIGHTS[role] for role in roles)


def roles_of(user: User) -> frozenset[Role]:
    """Return somebody's roles, those of other groups left out; read once for each object, as Django does."""
    known: frozenset[Role] | None = getattr(user, "_roles", None)
    if known is None:
        if user.is_superuser:
            known = frozenset({Role.ADMINISTRATOR})
        else:
            names = {group.name for group in user.groups.all()}
            known = frozenset(role for role in Role if role in names)
        user._roles = known  # type: ignore[attr-defined]
    return known
