"""The staff: who they are and what roles they have.

Functions that write are whole transactions, each with its audit entry. An account is never taken away,
for the sake of what names it; it is disabled, which ends its sessions.
"""

import secrets
from collections.abc import Collection, Sequence

from django.contrib.auth.models import Group, User
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.db import transaction

from conversations import audit
from conversations.audit import Kind, Verb
from conversations.errors import ConversationError
from conversations.rights import Role, roles_of

_PASSWORD_BYTES = 15  # 20 characters


class StaffError(ConversationError):
    """A change of the staff that cannot be."""

    code = "bad_staff"


def new_password() -> str:
    """Return a password that nobody can guess."""
    return secrets.token_urlsafe(_PASSWORD_BYTES)


def everybody() -> Sequence[User]:
    """Return the staff by name, also those that are disabled."""
    return list(User.objects.filter(is_staff=True).order_by("username").prefetch_related("groups"))


def add(name: str, *, roles: Collection[Role], password: str, email: str = "", by: str = "") -> User:
    """Make an account. Raises StaffError."""
    user = User(username=name, email=email, is_staff=True)
    with transaction.atomic():
        if User.objects.filter(username__iexact=name).exists():
            raise StaffError(f"There is already a `{name}`.")
        try:
            user.full_clean(exclude=["password"])
        except ValidationError as error:
            raise StaffError(" ".join(error.messages)) from error
        _set_password(user, password)
        user.save(force_insert=True)
        user.groups.set(_groups(roles))
        _write(Verb.ADDED, user, by=by, after={"roles": _names(roles), "email": email})
    return user


def change_roles(name: str, roles: Collection[Role], *, by: str = "") -> User:
    """Give somebody these roles and no others; an account of no staff becomes one. Raises StaffError."""
    with transaction.atomic():
        user = _known(name)
        before = _names(roles_of(user)) if user.is_staff else []
        user.groups.remove(*Group.objects.filter(name__in=list(Role)))
        user.groups.add(*_groups(roles))
        user.is_superuser, user.is_staff = False, True  # the role says it all
        user.save(update_fields=["is_superuser", "is_staff"])
        if before != _names(roles):
            _write(Verb.CHANGED_ROLES, user, by=by, before={"roles": before}, after={"roles": _names(roles)})
    return User.objects.get(pk=user.pk)


def change_password(name: str, password: str, *, by: str = "") -> None:
    """Give somebody another password, which ends their sessions. Raises StaffError."""
    with transaction.atomic():
        user = _known(name)
        _set_password(user, password)
        user.save(update_fields=["password"])
        _write(Verb.CHANGED_PASSWORD, user, by=by)


def switch(name: str, *, is_active: bool, by: str = "") -> bool:
    """Disable an account, which ends its sessions, or enable it; return whether that changed it.

    Raises StaffError.
    """
    with transaction.atomic():
        user = _known(name)
        if user.is_active == is_active:
            return False
        user.is_active = is_active
        user.save(update_fields=["is_active"])
        _write(Verb.ENABLED if is_active else Verb.DISABLED, user, by=by)
    return True


def _known(name: str) -> User:
    try:
        return User.objects.select_for_update().get(username=name)
    except User.DoesNotExist as error:
        raise StaffError(f"There is no `{name}`.") from error


def _set_password(user: User, password: str) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise StaffError(" ".join(error.messages)) from error
    user.set_password(password)


def _groups(roles: Collection[Role]) -> list[Group]:
    return [Group.objects.get_or_create(name=role)[0] for role in sorted(set(roles))]


def _names(roles: Collection[Role]) -> list[str]:
    return sorted({role.value for role in roles})


def _write(
    verb: Verb,
    user: User,
    *,
    by: str,
    before: dict[str, object] | None = None,
    after: dict[str, object] | None = None,
) -> None:
    audit.write(verb, Kind.STAFF, user.pk, by=by, label=user.username, before=before, after=after)
