"""Lists of words as staff paste or upload them: one term a line, or a table with its exceptions. Pure."""

import csv
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

from conversations.moderation import checking
from conversations.moderation.folding import fold
from conversations.moderation.letters import UNSPACED
from conversations.moderation.rules import Action, Rule, RuleError, Stage

MAX_BYTES: Final = 1024 * 1024
MAX_TERMS: Final = 20_000
_NAME_CHARS: Final = 120
_HEADS: Final = {"term", "word", "phrase", "pattern", "词", "词语", "关键词"}
_UNSPACED: Final = re.compile(f"[{UNSPACED}]")


class UnreadableListError(ValueError):
    """A file is no list of words; the message is one sentence for who gave it."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """A line that is left out, and why."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class WordList:
    """What a list says: its rules, and the lines that make none."""

    rules: Sequence[Rule]
    mistakes: Sequence[Mistake]


def decode(data: bytes) -> str:
    """Return a file's text, which is UTF-8 or GB 18030. Raises UnreadableListError."""
    if len(data) > MAX_BYTES:
        raise UnreadableListError(
            f"The file has {len(data) // 1024:,} KiB; {MAX_BYTES // 1024:,} KiB are possible."
        )
    for encoding in ("utf-8-sig", "gb18030"):
        try:
            return data.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise UnreadableListError("The file is neither UTF-8 nor GB 18030 text.")


def read(
    text: str, *, name: str, action: Action, stages: frozenset[Stage], spaced: bool, is_table: bool = False
) -> WordList:
    """Return a rule for each term of a list; a term that says what an earlier one says is left out.

    A line that begins with `#` is a remark. In a table the first column is the term, the others are its
    exceptions. Terms that need blanks around them are words or phrases; Chinese is found anywhere.
    """
    rules: list[Rule] = []
    mistakes: list[Mistake] = []
    seen: set[str] = set()
    for line, (term, *exceptions) in _rows(text, is_table=is_table):
        symbols = fold(term).symbols.strip()
        if symbols in seen and symbols:
            continue
        seen.add(symbols)
        rule = Rule(
            id=rule_name(name, term),
            kind="phrase" if " " in term else "word",
            pattern=term,
            action=action,
            stages=stages,
            boundary="none" if _UNSPACED.search(term) else "word",
            spaced=spaced,
            exceptions=tuple(exceptions),
        )
        try:
            if len(rules) == MAX_TERMS:
                raise RuleError(f"A list may have {MAX_TERMS:,} terms.")
            checking.check(rule)
        except RuleError as error:
            mistakes.append(Mistake(line, term, str(error)))
        else:
            rules.append(rule)
    return WordList(rules, mistakes)


def rule_name(word_list: str, term: str) -> str:
    """Return what the rule of a term of a list is called."""
    name = f"{word_list}: {term}"
    if len(name) <= _NAME_CHARS:
        return name
    return f"{name[: _NAME_CHARS - 9]}…{blake2b(name.encode(), digest_size=4).hexdigest()}"


def written(rules: Iterable[Rule]) -> str:
    """Return the terms, one a line, as `read` reads them again; patterns and detectors are left out."""
    return "".join(f"{rule.pattern}\n" for rule in rules if rule.kind in {"word", "phrase"})


def _rows(text: str, *, is_table: bool) -> Iterator[tuple[int, list[str]]]:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    rows: Iterable[list[str]] = csv.reader(lines) if is_table else ([line] for line in lines)
    for number, cells in enumerate(rows, 1):
        said = [cell.strip() for cell in cells]
        if not said or not said[0] or said[0].startswith("#"):
            continue
        if is_table and number == 1 and said[0].casefold() in _HEADS:
            continue
        yield number, [said[0], *(cell for cell in said[1:] if cell)]
