"""Typed readers over the environment, and over `.env` beside manage.py.

A bad value ends the start with one sentence that says which, why, and what would do. An empty value
counts as unset. Every reader notes the name and its default in `declared`, and a test holds
`.env.example` to that list.
"""

import ipaddress
import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar
from urllib.parse import SplitResult, urlsplit

from environs import Env, EnvError

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Choice = TypeVar("Choice", bound=str)

TRUE = frozenset({"1", "true", "yes", "on"})
FALSE = frozenset({"0", "false", "no", "off"})


class BadSettingError(SystemExit):
    """A setting that cannot be used. Uncaught, it prints its sentence and exits with 1.

    A SystemExit, because a traceback through settings.py helps nobody who mistyped a number.
    """


class Environment:
    """Reads settings by name. `declared` maps each name to its default as it would be written."""

    def __init__(self, dotenv: Path | None = None) -> None:
        self._env = Env(expand_vars=False)
        self.declared: dict[str, str] = {}
        if dotenv is not None and dotenv.is_file():
            self._env.read_env(dotenv, recurse=False)

    def text(self, name: str, default: str = "") -> str:
        """Return the value as it stands, stripped."""
        return self._given(name, default) or default

    def secret(self, name: str) -> str:
        """Return the value of `name`, or what stands in the file that `name`_FILE names, or ""."""
        if value := self._given(name, ""):
            return value
        file = os.environ.get(f"{name}_FILE", "").strip()
        if not file:
            return ""
        try:
            return Path(file).read_text().strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not text"
            _refuse(f"{name}_FILE", file, f"which cannot be read ({reason})", "name a readable file")

    def flag(self, name: str, *, default: bool) -> bool:
        """Read yes or no."""
        value = self._given(name, "true" if default else "false").lower()
        if value in TRUE:
            return True
        if value in FALSE:
            return False
        if value:
            _refuse(name, value, "which is neither yes nor no", "write true or false")
        return default

    def number(self, name: str, default: int, *, at_least: int = 0, at_most: int | None = None) -> int:
        """Read a whole number between the bounds, both included."""
        value = self._given(name, str(default))
        if not value:
            return default
        bounds = f"a whole number of at least {at_least}"
        if at_most is not None:
            bounds = f"a whole number from {at_least} to {at_most}"
        try:
            number = int(value)
        except ValueError:
            _refuse(name, value, "which is not a whole number", f"write {bounds}, such as {default}")
        if number < at_least or (at_most is not None and number > at_most):
            _refuse(name, value, "which is out of bounds", f"write {bounds}, such as {default}")
        return number

    def choice(self, name: str, default: Choice, options: Sequence[Choice]) -> Choice:
        """Read one of `options`; upper and lower case count alike."""
        value = self._given(name, default)
        if not value:
            return default
        for option in options:
            if option.lower() == value.lower():
                return option
        _refuse(name, value, "which is not known", f"write one of {', '.join(options)}")

    def currency(self, name: str, default: str) -> str:
        """Read the three letters of a currency, such as USD."""
        value = self._given(name, default).upper() or default
        if not (len(value) == 3 and value.isascii() and value.isalpha()):
            _refuse(name, value, "which is no currency", f"write its three letters, such as {default}")
        return value

    def listed(self, name: str, default: str = "") -> list[str]:
        """Read words separated by commas, in order."""
        value = self._given(name, default) or default
        return [word.strip() for word in value.split(",") if word.strip()]

    def networks(self, name: str) -> list[Network]:
        """Read addresses and networks (203.0.113.7, 10.0.0.0/8, fd00::/8) separated by commas."""
        found: list[Network] = []
        for word in self.listed(name):
            try:
                found.append(ipaddress.ip_network(word, strict=False))
            except ValueError:
                _refuse(name, word, "which is no address", "write addresses such as 127.0.0.1, 10.0.0.0/8")
        return found

    def url(self, name: str, default: str = "", *, schemes: Sequence[str] = ("https", "http")) -> str:
        """Read an absolute address without a trailing slash, or ""."""
        value = self._given(name, default)
        if not value:
            return default
        parts = _split(value)
        if parts is None or parts.scheme not in schemes or not (parts.netloc or parts.path.strip("/")):
            _refuse(name, _without_password(value), "which is not an address we can use",
                    f"begin it with {' or '.join(f'{scheme}://' for scheme in schemes)}")  # fmt: skip
        return value.rstrip("/")

    def origins(self, name: str) -> list[str]:
        """Read origins (https://shop.example:8443) separated by commas, in lower case."""
        found: list[str] = []
        for word in self.listed(name):
            parts = _split(word)
            extra = (
                parts is None or parts.path.strip("/") or parts.query or parts.fragment or "@" in parts.netloc
            )
            if parts is None or parts.scheme not in ("http", "https") or not parts.hostname or extra:
                _refuse(name, word, "which is no origin", "write origins such as https://shop.example")
            found.append(f"{parts.scheme}://{parts.netloc.lower()}")
        return found

    def path(self, name: str, default: Path, *, shown: str) -> Path:
        """Read a path, made absolute. `shown` is how the default stands in `.env.example`."""
        value = self._given(name, shown)
        return Path(value).expanduser().resolve() if value else default

    def database(self, name: str, default: str, *, shown: str) -> dict[str, Any]:
        """Read a database address into Django's settings; SQLite and PostgreSQL only."""
        value = self._given(name, shown) or default
        instead = "write sqlite:////path/to/file or postgres://user:password@host/name"
        if value.partition(":")[0] not in ("sqlite", "postgres", "postgresql"):
            _refuse(name, _without_password(value), "which is neither SQLite nor PostgreSQL", instead)
        try:
            return dict(self._env.dj_db_url(name, default))
        except (EnvError, ValueError):
            _refuse(name, _without_password(value), "which cannot be understood", instead)

    def email(self, name: str, default: str) -> dict[str, Any]:
        """Read a mail server's address into Django's EMAIL_… settings."""
        value = self._given(name, default) or default
        try:
            found = dict(self._env.dj_email_url(name, default))
        except (EnvError, ValueError):
            found = {}
        if "EMAIL_BACKEND" not in found:
            _refuse(name, _without_password(value), "which cannot be understood",
                    "write smtp+tls://user:password@host:587 or console://")  # fmt: skip
        return found

    def _given(self, name: str, default: str) -> str:
        """Note the name and return its value, or "" when it is unset or empty."""
        self.declared[name] = default
        value = os.environ.get(name, "").strip()
        if not value:
            os.environ.pop(name, None)  # so that the readers of environs see it as unset, too
        return value


def secret_kept_in(file: Path) -> str:
    """Return the secret in `file`; the first process to ask makes it, mode 0600.

    Many processes may ask at once: each writes a file of its own and links it into place, which
    only one of them can, and all read what stands there.
    """
    if not file.exists():
        mine = file.with_name(f"{file.name}.{os.getpid()}.{secrets.token_hex(4)}")
        descriptor = os.open(mine, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as made:
            made.write(secrets.token_urlsafe(48))
            made.flush()
            os.fsync(made.fileno())
        try:
            os.link(mine, file)
        except FileExistsError:
            pass
        finally:
            mine.unlink()
    return file.read_text().strip()


def _split(value: str) -> SplitResult | None:
    try:
        parts = urlsplit(value)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _without_password(value: str) -> str:
    """Return an address that may be printed: its scheme only, when it could carry a password."""
    return value if "@" not in value else f"{value.partition(':')[0]}://…"


def _refuse(name: str, value: str, why: str, instead: str) -> NoReturn:
    raise BadSettingError(f"`{name}` is `{value}`, {why}; {instead}.")
