"""What members of the staff may do."""

from enum import Enum
from typing import Final

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser


class Right(Enum):
    """One thing that somebody may do or not."""

    READ_VERDICTS = "read verdicts"
    DECIDE = "decide on verdicts"
    READ_MASKED = "read what is masked"  # personal data of visitors
    CHANGE_RULES = "change rules"
    READ_MONEY = "read what is spent"
    CHANGE_MONEY = "change prices and budgets"


_OF_STAFF: Final = {Right.READ_VERDICTS, Right.DECIDE}


def may(user: AbstractBaseUser | AnonymousUser, right: Right) -> bool:
    """Say whether `user` may: staff read and decide, admins do everything."""
    if not user.is_authenticated or not user.is_active or not getattr(user, "is_staff", False):
        return False
    return right in _OF_STAFF or bool(getattr(user, "is_superuser", False))
