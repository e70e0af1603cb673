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
from conversations.moderation.ruleset import Ruleset, Screening

log = structlog.get_logger(__name__)

_VERSIONS = 64
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


def guard(version: PromptVersion) -> Ruleset:
    """Return the rules that keep a version's instructions from being told."""
    sayable = [*version.greeting.values(), *version.fallback.values()]
    sayable += [each for starters in version.starters.values() for each in starters]
    return _guard(version.instructions, canary(version), tuple(sayable))


@lru_cache(_VERSIONS)
def _guard(instructions: str, word: str, sayable: tuple[str, ...]) -> Ruleset:
    return Ruleset(leaks.guards(instructions, word=word, sayable=sayable)).prepare()
