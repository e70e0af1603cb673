"""What screening is called on the staff's pages."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from conversations.models import Decision, VerdictSource

Words = Mapping[str, Promise]


@dataclass(frozen=True, slots=True)
class Badge:
    """A sign and a word; `kind` is one of the badge's colours, or empty."""

    kind: str
    icon: str
    word: str | Promise


KINDS: Words = {
    "word": _("Word"),
    "phrase": _("Phrase"),
    "pattern": _("Pattern"),
    "detector": _("Detector"),
}
ACTIONS: Words = {
    "block": _("Block: the text is withdrawn"),
    "mask": _("Mask: only the passage is taken out"),
    "flag": _("Flag: it is shown and noted"),
}
STAGES: Words = {
    "input": _("Visitor’s message"),
    "output": _("Answer, while it is written"),
    "review": _("Answer, afterwards"),
}
SHORT_STAGES: Words = {"input": _("Message"), "output": _("Answer"), "review": _("Review")}
BOUNDARIES: Words = {
    "word": _("As a word of its own"),
    "none": _("Also within other words"),
}
DETECTORS: Words = {
    "email": _("E-mail address"),
    "phone": _("Telephone number, any country"),
    "cn_mobile": _("Mobile number, mainland China"),
    "payment_card_luhn": _("Payment card"),
    "cn_resident_id": _("Resident identity number, mainland China"),
    "iban": _("Bank account (IBAN)"),
    "provider_key": _("Secret key of a service"),
}
SOURCES: Words = {
    VerdictSource.RULE: _("A rule"),
    VerdictSource.PROMPT: _("The guard of the instructions"),
    VerdictSource.PROVIDER: _("The model’s service"),
    VerdictSource.OVERFLOW: _("Too much held back"),
    VerdictSource.BROKEN: _("Screening that failed"),
    VerdictSource.ENDPOINT: _("A moderation service"),
}
DECISIONS: Words = {Decision.UPHELD: _("Upheld"), Decision.OVERTURNED: _("Overturned")}
FIELDS: Words = {
    "kind": _("Kind"),
    "pattern": _("What is looked for"),
    "action": _("Action"),
    "stages": _("Where"),
    "boundary": _("Borders"),
    "spaced": _("Spaced letters"),
    "exceptions": _("Exceptions"),
    "word_list": _("List"),
    "is_active": _("In force"),
}

_DONE = {
    "block": Badge("bad", "shield", _("Blocked")),
    "hide": Badge("bad", "shield", _("Hidden")),
    "mask": Badge("warn", "eye", _("Masked")),
    "flag": Badge("", "flag", _("Flagged")),
}


def done(action: str) -> Badge:
    """Return what was done about a finding."""
    return _DONE.get(action) or Badge("", "flag", action)


def action_badge(action: str) -> Badge:
    """Return what a rule does."""
    words = {"block": _("Block"), "mask": _("Mask"), "flag": _("Flag")}
    badge = done(action)
    return Badge(badge.kind, badge.icon, words.get(action, action))
