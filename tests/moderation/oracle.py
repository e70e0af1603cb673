"""What screening should find, worked out slowly: the whole text, every beginning, every end."""

import html
import re
import unicodedata
from collections.abc import Iterator
from itertools import groupby

from conversations.moderation.detectors import DETECTORS
from conversations.moderation.rules import Rule

SIMPLIFIED = str.maketrans("譽藥粧", "誉药妆")
LATIN = str.maketrans("аосрејκ", "aocpejk")
REFERENCE = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|(?:amp|nbsp|shy|copy));")
HAN = re.compile(r"[\u4e00-\u9fff\u3040-\u30ff]")
GAP = re.compile(r"[ ._|/\\+·•・‧'–—-]{1,3}\Z")
Symbol = tuple[str, int, int]
Place = tuple[str, int, int]


def symbols_of(text: str) -> list[Symbol]:
    """What is seen of a text, each with where it stands in the original."""
    seen = [symbol for char in _characters(text) for symbol in _levelled(*char)]
    spread: list[Symbol] = []
    for kind, group in groupby(seen, key=lambda each: each[0] in "*~`"):
        run = list(group)
        spread += run if not kind else [("*", *run[3][1:])] if len(run) > 3 else []
    return [each for at, each in enumerate(spread) if not (at and each[0] == " " == spread[at - 1][0])]


def places(rules: list[Rule], text: str) -> list[Place]:
    """Every finding: the longest of each rule at each place that lies in no other of its rule."""
    symbols = symbols_of(text)
    seen = "".join(each[0] for each in symbols)
    found = []
    for rule in rules:
        reach = 0
        for start, end in sorted(set(_found(rule, seen)), key=lambda span: (span[0], -span[1])):
            if end > reach:
                reach = end
                if not _is_excepted(rule, seen, start, end):
                    found.append((rule.id, symbols[start][1], symbols[end - 1][2]))
    return sorted(found, key=lambda place: (place[1], -place[2], place[0]))


def expected(rules: list[Rule], text: str) -> tuple[str, bool]:
    """What may come out of a gate, and whether it closes."""
    actions = {rule.id: rule.action for rule in rules}
    found = places(rules, text)
    blocked = [start for name, start, _ in found if actions[name] == "block"]
    stop = min(blocked, default=len(text))
    hidden = [False] * len(text)
    for name, start, end in found:
        if actions[name] == "mask":
            hidden[start:end] = [True] * (end - start)
    for at in range(1, len(text)):
        if hidden[at - 1] and unicodedata.combining(text[at]) not in {0, 8, 9}:
            hidden[at] = True
    runs = groupby(range(stop), key=lambda at: hidden[at])
    shown = ("▮▮▮" if is_hidden else "".join(text[at] for at in run) for is_hidden, run in runs)
    return "".join(shown), bool(blocked)


def _characters(text: str) -> Iterator[Symbol]:
    at = 0
    while at < len(text):
        found = REFERENCE.match(text, at)
        end = found.end() if found else at + 1
        for char in html.unescape(found[0]) if found else text[at]:
            yield char, at, end
        at = end


def _levelled(char: str, start: int, end: int) -> Iterator[Symbol]:
    decomposed = unicodedata.normalize("NFKD", unicodedata.normalize("NFKD", char).casefold())
    for each in decomposed.translate(LATIN).translate(SIMPLIFIED):
        if each.isspace():
            yield " ", start, end
        elif "\ud800" <= each <= "\udfff":
            yield "\ufffd", start, end
        elif not _is_unseen(each):
            yield each, start, end


def _is_unseen(char: str) -> bool:
    is_control = unicodedata.category(char) in {"Cf", "Cc"} or char in "\ufe0f\u034f\u1160"
    return is_control or unicodedata.combining(char) not in {0, 8, 9}


def _found(rule: Rule, seen: str) -> Iterator[tuple[int, int]]:
    if rule.kind == "pattern":
        yield from _longest(rule.pattern, seen)
    elif rule.kind == "detector":
        yield from _detected(rule, seen)
    else:
        term = "".join(each[0] for each in symbols_of(rule.pattern))
        for start in range(len(seen)):
            end = start + len(term)
            is_there = seen.startswith(term, start) and not _goes_on(seen, end)
            if is_there and (rule.boundary == "none" or _stands_alone(seen, start, end)):
                yield start, end
        if rule.spaced:
            yield from _spelled_out(rule, term, seen)


def _longest(source: str, seen: str) -> Iterator[tuple[int, int]]:
    for start in range(len(seen)):
        for end in range(len(seen), start, -1):
            if re.compile(rf"(?:{source})(?=[\s\S]{{{len(seen) - end}}}\Z)", re.I | re.A).match(seen, start):
                yield start, end
                break


def _detected(rule: Rule, seen: str) -> Iterator[tuple[int, int]]:
    detector = DETECTORS[rule.pattern]
    beside = re.compile(f"[{detector.beside}]")
    for start in range(len(seen)):
        if start and beside.match(seen[start - 1]):
            continue
        for end in range(min(len(seen), start + 250), start, -1):
            if end < len(seen) and beside.match(seen[end]) and not detector.is_open_ended:
                continue
            piece = seen[start:end]
            if re.fullmatch(detector.looks, piece, re.ASCII) and detector.value(piece) is not None:
                yield start, end
                break


def _spelled_out(rule: Rule, term: str, seen: str) -> Iterator[tuple[int, int]]:
    letters = [each for each in term if each.isalnum()]
    for start in range(len(seen)):
        ends = [(start, 0)]  # where the next letter may stand, and how many gaps there were
        for number, letter in enumerate(letters):
            ends = [
                (after, gaps + bool(gap))
                for at, gaps in ends
                for gap in ((0, 1, 2, 3) if number else (0,))
                if seen[at + gap : at + gap + 1] == letter and (not gap or GAP.fullmatch(seen[at : at + gap]))
                for after in (at + gap + 1,)
                if _is_single(seen, at + gap)
            ]
        for end, gaps in ends:
            if gaps and (rule.boundary == "none" or _is_apart(seen, start, end)):
                yield start, end


def _is_single(seen: str, at: int) -> bool:
    """Whether a letter has no other beside it; Han characters never belong to a neighbour."""
    return bool(HAN.match(seen[at])) or not (_is_letter(seen, at - 1) or _is_letter(seen, at + 1))


def _is_apart(seen: str, start: int, end: int) -> bool:
    """Whether no other single letter of the same kind stands within a gap's reach."""
    han = bool(HAN.match(seen[start]))
    before = next((at for at in range(start - 1, max(-1, start - 5), -1) if not GAP.match(seen[at])), None)
    after = next((at for at in range(end, min(len(seen), end + 4)) if not GAP.match(seen[at])), None)
    return not any(
        at is not None and seen[at].isalnum() and _is_single(seen, at) and bool(HAN.match(seen[at])) == other
        for at, other in ((before, han), (after, bool(HAN.match(seen[end - 1]))))
    )


def _is_letter(seen: str, at: int) -> bool:
    return 0 <= at < len(seen) and seen[at].isalnum() and not HAN.match(seen[at])


def _stands_alone(seen: str, start: int, end: int) -> bool:
    for outside, inside in ((start - 1, start), (end, end - 1)):
        near = seen[outside : outside + 1] if outside >= 0 else ""
        if (
            near.isalnum()
            and seen[inside].isalnum()
            and bool(HAN.match(near)) == bool(HAN.match(seen[inside]))
        ):
            return False
    return True


def _goes_on(seen: str, end: int) -> bool:
    """Whether a voicing mark makes another letter of the last one."""
    return end < len(seen) and seen[end] in "\u3099\u309a" and "\u3000" <= seen[end - 1] <= "\u30ff"


def _is_excepted(rule: Rule, seen: str, start: int, end: int) -> bool:
    for text in rule.exceptions:
        term = "".join(each[0] for each in symbols_of(text))
        if rule.kind == "detector":
            if DETECTORS[rule.pattern].value(seen[start:end]) == DETECTORS[rule.pattern].value(term):
                return True
        elif any(seen.startswith(term, at) and at + len(term) >= end for at in range(start + 1)):
            return True
    return False
