"""The rules we ship: personal data and secrets, and two short lists of insults. All in our own words.

Addresses and telephone numbers are hidden from the model only: a shop's own must be sayable. Visitors who
are rude are noted and answered; an assistant that is rude is stopped.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from conversations.moderation.rules import Action, Rule, Stage
from conversations.wordlists import rule_name

DATA: Final = "Personal data and secrets"
_BOTH: Final = frozenset[Stage]({"input", "output"})
_INPUT: Final = frozenset[Stage]({"input"})
_ANSWERS: Final = frozenset[Stage]({"output", "review"})

_DETECTORS: Final[tuple[tuple[str, str, frozenset[Stage]], ...]] = (
    ("Secret keys of services", "provider_key", _BOTH),
    ("Payment cards", "payment_card_luhn", _BOTH),
    ("Bank accounts", "iban", _BOTH),
    ("Resident identity numbers", "cn_resident_id", _BOTH),
    ("E-mail addresses", "email", _INPUT),
    ("Telephone numbers", "phone", _INPUT),
)

# Each with the longer texts in which it is harmless.
_ENGLISH: Final[Mapping[str, tuple[str, ...]]] = {
    "asshole": (),
    "bastard": ("bastard file", "bastard cut"),
    "bitch": (),
    "cunt": (),
    "dickhead": (),
    "dumbass": (),
    "fuck off": (),
    "fuck you": (),
    "idiot": ("idiot-proof", "idiot proof"),
    "imbecile": (),
    "moron": (),
    "motherfucker": (),
    "piss off": (),
    "scumbag": (),
    "shithead": (),
    "wanker": (),
}
_CHINESE: Final[Mapping[str, tuple[str, ...]]] = {
    "傻逼": (),
    "蠢货": (),
    "白痴": (),
    "混蛋": (),
    "王八蛋": (),
    "滚蛋": (),
    "去死": ("去死皮", "去死角", "去死海"),
    "废物": ("废物利用", "废物处理", "废物回收", "废物箱"),
    "脑残": (),
    "贱人": (),
    "狗屎": ("铲狗屎", "捡狗屎"),
    "他妈的": (),
    "神经病": ("神经病学", "神经病变"),
}


def lists() -> dict[str, list[Rule]]:
    """Return {list: its rules}."""
    insults = {"Insults, English": _ENGLISH, "Insults, Chinese": _CHINESE}
    found = {DATA: [_detector(*row) for row in _DETECTORS]}
    for name, terms in insults.items():
        messages, answers = f"{name}, in messages", f"{name}, in answers"
        found[messages] = list(_terms(messages, terms, "flag", _INPUT))
        found[answers] = list(_terms(answers, terms, "block", _ANSWERS))
    return found


def _detector(name: str, detector: str, stages: frozenset[Stage]) -> Rule:
    return Rule(id=name, kind="detector", pattern=detector, action="mask", stages=stages)


def _terms(
    word_list: str, terms: Mapping[str, Iterable[str]], action: Action, stages: frozenset[Stage]
) -> Iterable[Rule]:
    for term, exceptions in terms.items():
        yield Rule(
            id=rule_name(word_list, term),
            kind="phrase" if " " in term else "word",
            pattern=term,
            action=action,
            stages=stages,
            boundary="word" if term.isascii() else "none",
            spaced=" " not in term,
            exceptions=tuple(exceptions),
        )
