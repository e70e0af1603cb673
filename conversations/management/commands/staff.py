"""`manage.py staff`: who may sign in to the console, and with which roles."""

import sys
from typing import Any

import orjson
from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError, CommandParser

from conversations import staff
from conversations.management import terminal
from conversations.rights import Role, roles_of

ROLES = [role.value for role in Role]


class Command(BaseCommand):
    """Keep the staff."""

    help = "Add members of the staff, list them, give them roles and passwords, disable them."

    def add_arguments(self, parser: CommandParser) -> None:
        """Read what to do."""
        doing = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
        add = doing.add_parser("add", help="Make an account. A password is read from stdin, or made.")
        add.add_argument("name")
        add.add_argument("--role", action="append", choices=ROLES, required=True, dest="roles")
        add.add_argument("--email", default="")
        shown = doing.add_parser("list", help="Show everybody.")
        shown.add_argument("--json", action="store_true", help="Print JSON and nothing else.")
        role = doing.add_parser("role", help="Give somebody these roles, and no others.")
        role.add_argument("name")
        role.add_argument("roles", nargs="+", choices=ROLES, metavar="ROLE", help=", ".join(ROLES))
        for action, what in (
            ("password", "Give somebody a password: from stdin, or made."),
            ("disable", "Let somebody in no more; their sessions end."),
            ("enable", "Let somebody in again."),
        ):
            doing.add_parser(action, help=what).add_argument("name")

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        """Do it."""
        try:
            getattr(self, f"_{action}")(options)
        except staff.StaffError as error:
            raise CommandError(str(error)) from error

    def _add(self, said: dict[str, Any]) -> None:
        password, is_made = _password()
        roles = [Role(role) for role in said["roles"]]
        user = staff.add(said["name"], roles=roles, password=password, email=said["email"])
        self.stderr.write(f"`{user.username}` may sign in now, as {_words(user)}.")
        self._tell(password, is_made=is_made)

    def _list(self, said: dict[str, Any]) -> None:
        everybody = staff.everybody()
        if said["json"]:
            self.stdout.write(orjson.dumps([_as_json(user) for user in everybody]).decode())
            return
        head = ("NAME", "ROLES", "STATE", "LAST SIGN-IN", "EMAIL")
        self.stdout.write(terminal.table(head, [_cells(user) for user in everybody]))

    def _role(self, said: dict[str, Any]) -> None:
        user = staff.change_roles(said["name"], [Role(role) for role in said["roles"]])
        self.stderr.write(f"`{user.username}` is {_words(user)} now.")

    def _password(self, said: dict[str, Any]) -> None:
        password, is_made = _password()
        staff.change_password(said["name"], password)
        self.stderr.write(f"`{said['name']}` has another password; their sessions have ended.")
        self._tell(password, is_made=is_made)

    def _disable(self, said: dict[str, Any]) -> None:
        is_changed = staff.switch(said["name"], is_active=False)
        self.stderr.write(f"`{said['name']}` {'is' if is_changed else 'was already'} disabled.")

    def _enable(self, said: dict[str, Any]) -> None:
        is_changed = staff.switch(said["name"], is_active=True)
        self.stderr.write(f"`{said['name']}` {'may' if is_changed else 'could already'} sign in.")

    def _tell(self, password: str, *, is_made: bool) -> None:
        if is_made:
            self.stderr.write("The password is printed this once:")
            self.stdout.write(password)


def _password() -> tuple[str, bool]:
    """Return the password from stdin, or a new one where stdin is a terminal, and whether it is new."""
    if sys.stdin.isatty():
        return staff.new_password(), True
    given = sys.stdin.readline().rstrip("\r\n")
    if not given:
        raise CommandError("stdin holds no password; write it there, or call this from a terminal.")
    return given, False


def _words(user: User) -> str:
    return ", ".join(sorted(roles_of(user))) or "staff without a role"


def _as_json(user: User) -> dict[str, Any]:
    return {
        "name": user.username,
        "roles": sorted(roles_of(user)),
        "is_active": user.is_active,
        "last_sign_in_at": user.last_login,
        "email": user.email,
    }


def _cells(user: User) -> tuple[str, ...]:
    last = f"{user.last_login:%Y-%m-%d %H:%M}" if user.last_login else "never"
    return user.username, _words(user), "active" if user.is_active else "disabled", last, user.email
