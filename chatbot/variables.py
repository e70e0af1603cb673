"""`${NAME}` in config.yaml: the environment's NAME, or what stands in the file that NAME_FILE names.

`${NAME:-default}` gives a default, `${kms:…}` a ciphertext that AWS KMS decrypts (secrets only).
"""

import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chatbot import kms
from chatbot.providers.keys import Secret

LOOK_S = 1.0  # at most between two looks at a secret's file
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_REFERENCE = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?", re.DOTALL)
_KMS = "kms:"

Stamp = tuple[tuple[int, int, int] | None, ...]


class VariableError(ValueError):
    """What is wrong with a variable, in a sentence."""


def expand(text: str, environ: Mapping[str, str], *, is_secret: bool) -> str:
    """Replace the variables; an unset or empty NAME is its default, or empty. A value that was put in is
    not looked through again. Raises VariableError."""
    if "${" in _VARIABLE.sub("", text):
        raise VariableError("a `${` has no `}`.")
    return _VARIABLE.sub(lambda match: _value(match, environ, is_secret=is_secret), text)


def secret(text: str, environ: Mapping[str, str]) -> Secret:
    """Expand to a secret; one that stands in a file is read again when the file changes."""
    value, files = expand(text, environ, is_secret=True), _files(text, environ)
    if not files:
        return Secret(value)
    return FileSecret(value, files, lambda: expand(text, environ, is_secret=True))


class FileSecret(Secret):
    """A secret whose `files` are looked at again, so that it can be changed without a restart.

    While they cannot be read, or are empty, somebody is just writing them: what was there before holds.
    """

    __slots__ = ("_files", "_looked_at", "_read", "_stamp")

    def __init__(self, value: str, files: Sequence[Path], read: Callable[[], str]) -> None:
        super().__init__(value)
        self._files = files
        self._read = read
        self._stamp = _stamp(files)
        self._looked_at = time.monotonic()

    def reveal(self) -> str:
        if time.monotonic() - self._looked_at >= LOOK_S:
            self.look_again()
        return self._value

    def look_again(self) -> None:
        self._looked_at = time.monotonic()
        stamp = _stamp(self._files)
        if stamp == self._stamp:
            return
        try:
            value = self._read()
        except VariableError:
            return
        if value:
            self._value, self._stamp = value, stamp


def _value(match: re.Match[str], environ: Mapping[str, str], *, is_secret: bool) -> str:
    if match[1].startswith(_KMS):
        if not is_secret:
            raise VariableError("`${kms:…}` may stand only where a secret does.")
        try:
            return kms.decrypt(match[1].removeprefix(_KMS).strip())
        except kms.NotDecryptedError as error:
            raise VariableError(str(error)) from error
    reference = _REFERENCE.fullmatch(match[1])
    if not reference:
        raise VariableError(f"`{match[0]}` is not understood; write `${{NAME}}` or `${{NAME:-default}}`.")
    name, default = reference[1], reference[2] or ""
    if value := environ.get(name, "").strip():
        return value
    try:
        file = _file(name, environ)
        return (file.read_text("utf-8").strip() if file else "") or default
    except OSError as error:
        reason = f"cannot be read: {error.strerror}"
    except UnicodeDecodeError:
        reason = "is not text"
    raise VariableError(f"the file that `{name}_FILE` names {reason}.")


def _files(text: str, environ: Mapping[str, str]) -> list[Path]:
    """The files in which variables of `text` stand."""
    names = [match[1].partition(":-")[0] for match in _VARIABLE.finditer(text)]
    return [file for name in names if not environ.get(name, "").strip() and (file := _file(name, environ))]


def _file(name: str, environ: Mapping[str, str]) -> Path | None:
    file = environ.get(f"{name}_FILE", "").strip()
    return Path(file) if file else None


def _stamp(files: Sequence[Path]) -> Stamp:
    """What changes when one of the files does; None for one that is not there."""
    found: list[tuple[int, int, int] | None] = []
    for file in files:
        try:
            about = file.stat()
        except OSError:
            found.append(None)
        else:
            found.append((about.st_mtime_ns, about.st_size, about.st_ino))
    return tuple(found)
