"""Screening as the turn uses it: the rules in force, those that guard a prompt, and what to do without.

Rules that cannot be read, and a search that breaks, close the gate: nobody sees what was not screened,
unless the operator wants it otherwise (SCREENING_FAIL_OPEN).
"""

from functools import lru_cache

import structlog
from django.conf import settings
from django.db import Error as DatabaseError

from chatbot import metrics
from conversations import rulebook
from conversations.models import PromptVersion
from conversations.moderation import leaks
from conversations.moderation.rules import Rule
from conversations.moderation.ruleset import Ruleset, Screening

log = structlog.get_logger(__name__)

_VERSIONS = 64

Guarding = tuple[str, str, tuple[str, ...]]
"""A version's instructions, its canary, and what its answers may repeat."""

NO_RULES = Ruleset(())


class ScreeningBrokenError(Exception):
    """The rules cannot be read, or searching by them fails; nothing may be shown."""


def rules() -> Ruleset:
    """Return the rules in force. Raises ScreeningBrokenError; call it in a database thread."""
    try:
        return rulebook.current()
    except DatabaseError:
        raise
    except Exception as error:
        return _without(error)


def is_usable() -> bool:
    """Say whether the rules can be read. Call it in a database thread, or a view."""
    try:
        rulebook.current()
    except DatabaseError:
        raise
    except Exception:
        return False
    return True


def newest(present: Ruleset) -> Ruleset:
    """Return the rules this process read last, without a query."""
    return rulebook.newest() or present


def screen_input(text: str) -> Screening:
    """Search a visitor's message. Raises ScreeningBrokenError; call it in a database thread."""
    try:
        return rules().screen(text, "input")
    except (DatabaseError, ScreeningBrokenError):
        raise
    except Exception as error:
        return _without(error).screen(text, "input")


def broken(error: Exception) -> bool:
    """Raise the alarm; say whether the operator wants to go on without screening."""
    metrics.SCREENING_BROKEN.inc()
    log.error("screening broken", error=type(error).__name__, is_open=settings.SCREENING_FAIL_OPEN)
    return bool(settings.SCREENING_FAIL_OPEN)


def _without(error: Exception) -> Ruleset:
    if broken(error):
        return NO_RULES
    raise ScreeningBrokenError("The rules of screening cannot be used.") from error


def canary(version: PromptVersion) -> str:
    """Return the word that marks a version's system text, and stands nowhere else."""
    return leaks.canary(str(version.pk), settings.SECRET_KEY.encode())


_guarded: dict[Guarding, Ruleset] = {}
_guarded_from: Ruleset | None = None


def guarded(version: PromptVersion, rules: Ruleset) -> Ruleset:
    """Return these rules, and those that keep a version's instructions from being told."""
    global _guarded_from
    if rules is not _guarded_from or len(_guarded) > _VERSIONS:
        _guarded.clear()
        _guarded_from = rules
    sayable = [*version.greeting.values(), *version.fallback.values()]
    sayable += [each for starters in version.starters.values() for each in starters]
    guarding = (version.instructions, canary(version), tuple(sayable))
    if guarding not in _guarded:
        _guarded[guarding] = Ruleset(_guards(guarding), base=rules).prepare()
    return _guarded[guarding]


@lru_cache(_VERSIONS)
def _guards(guarding: Guarding) -> list[Rule]:
    instructions, word, sayable = guarding
    return leaks.guards(instructions, word=word, sayable=sayable)
