"""What of the system prompt must not come out: a word that stands nowhere else, and its instructions.

Only instructions are guarded. Facts are what the answers are made of: a price list, an address, the name
of the assistant may be repeated word for word, and a sentence is a fact unless it clearly tells the
model how to speak.
"""

import hmac
import re
from base64 import b32encode
from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Final

from conversations.moderation.checking import LENGTH_MAX
from conversations.moderation.folding import fold
from conversations.moderation.letters import UNSPACED
from conversations.moderation.rules import Boundary, Rule, Stage

WORDS: Final = 12  # in a row that are no coincidence
SIGNS: Final = 30  # the same in Chinese
PREFIX: Final = "prompt:"  # of these rules' ids
CANARY_LETTERS: Final = 14  # of five bits each
RARE: Final = "zq"  # how a canary begins: what could become one is held back, and that is seldom

_OUTPUT: Final = frozenset[Stage]({"output", "review"})
_SENTENCE: Final = re.compile(r"[^.!?。！？]+(?:[.!?。！？]+(?=\s|$|[^\x00-\x7f])|$)|[^.!?。！？]+[.!?]")
_WORD: Final = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SIGN: Final = re.compile(f"[{UNSPACED}]")
# What comes before an instruction: a bullet, a number, a name (`Style:`), a condition (`If …,`).
_LEAD: Final = re.compile(
    r"^[\s>#*•-]*(?:\d+[.)]\s*)?(?:[\w ]{1,24}[:：]\s*)?(?:(?:if|when|unless)\b[^,]*,\s*)?", re.I
)
_QUESTION: Final = re.compile(r"^\s*(?:q|question|a|answer|问|答|问题|答案)\s*[:：]", re.I)
_HEADING: Final = re.compile(
    r"^\s*(?:#+\s*|\*\*)?[\w ]{0,40}\b(?:facts|faq|knowledge|about us|catalogue|prices)\b", re.I
)
_HEADING_ZH: Final = re.compile(
    r"^\s*#*\s*[^，。]{0,12}(?:常见问题|知识|资料|事实|简介|价格)[^，。]{0,6}[:：]?\s*$"
)

_VERBS: Final = (
    "answer|reply|respond|speak|write|use|say|tell|keep|stay|refuse|decline|ask|avoid|treat|ignore|follow|"
    "pretend|act|behave|be|remain|make sure|ensure|offer|mention|repeat|reveal"
)
# `You must` may be about returning a jacket: it is an order to the model with a verb of speaking only.
_COMMAND: Final = re.compile(
    rf"(?:please\s+)?(?:(?:always|never|do not|don't|only|under no)\b|"
    rf"(?:you (?:must|should|shall|may|can)(?: (?:not|never|always|only))* )?(?:{_VERBS})\b)",
    re.I,
)
_SPEECH: Final = re.compile(
    r"\b(?:answer|reply|respond|response|speak|say|talk|tell|mention|reveal|disclose|invent|guess|pretend|"
    r"facts|instruction|prompt|tone|language|sentence|topic|persona|rule)(?:s|ed|ing)?\b",
    re.I,
)
_OURS: Final = re.compile(
    r"\b(?:we|us|i|my|your (?:order|parcel|account|item|card|refund|name))\b|[\d@$€£¥]|https?:", re.I
)
_COMMAND_ZH: Final = re.compile(
    "不要|不得|不能|禁止|请勿|切勿|必须|务必|始终|只能|只可|绝不|应当|请用|请以|请始终"
)
_SPEECH_ZH: Final = re.compile(
    "回答|回复|答复|告诉|透露|泄露|编造|假装|扮演|语气|语言|用户|客户|顾客|访客|提示词|指令|话题|助手"
)
_OURS_ZH: Final = re.compile("我们|您|本店|[0-9@￥元]|https?:")


def canary(version: str, secret: bytes) -> str:
    """Return the word that marks a prompt version: always the same, and nobody's."""
    digest = hmac.digest(secret, f"canary:{version}".encode(), "sha256")
    return RARE + b32encode(digest).decode().lower()[:CANARY_LETTERS]


def guards(instructions: str, *, word: str = "", sayable: Iterable[str] = ()) -> list[Rule]:
    """Return rules that block the canary and every long run of words from the instructions.

    `sayable` are texts that answers may repeat, such as the greeting: what they hold is not guarded.
    """
    rules = [_rule("canary", word, "none", is_spaced=True)] if word else []
    said = "\n".join(fold(text).symbols for text in sayable)
    runs = {run: None for part in _instructions(instructions) for run in _runs(part)}
    for number, run in enumerate(runs, 1):
        if run not in said:
            rules.append(_rule(str(number), run, "none" if _is_chinese(run) else "word"))
    return rules


def _rule(name: str, pattern: str, boundary: Boundary, *, is_spaced: bool = False) -> Rule:
    return Rule(
        id=f"{PREFIX}{name}",
        kind="phrase",
        pattern=pattern,
        action="block",
        stages=_OUTPUT,
        boundary=boundary,
        spaced=is_spaced,
    )


def _instructions(text: str) -> Iterator[str]:
    """Yield the parts that only tell the model how to speak: neighbouring sentences together."""
    for paragraph in _paragraphs(text):
        for is_instruction, sentences in groupby(_SENTENCE.findall(paragraph), key=_is_instruction):
            if is_instruction:
                yield "".join(sentences).strip()


def _paragraphs(text: str) -> Iterator[str]:
    """Yield the lines that are neither questions, answers nor lists of facts."""
    is_fact = False
    for line in text.splitlines():
        if _QUESTION.match(line) or _HEADING.match(line) or _HEADING_ZH.match(line):
            is_fact = True
        elif not line.strip() or line.lstrip().startswith("#"):
            is_fact = is_fact and not line.lstrip().startswith("#")
        elif not is_fact:
            yield line


def _is_instruction(sentence: str) -> bool:
    if _is_chinese(sentence):
        return not _OURS_ZH.search(sentence) and bool(
            _COMMAND_ZH.search(sentence) and _SPEECH_ZH.search(sentence)
        )
    lead = _LEAD.match(sentence)
    command = sentence[lead.end() if lead else 0 :]
    return not _OURS.search(sentence) and bool(_COMMAND.match(command) and _SPEECH.search(sentence))


def _runs(part: str) -> Iterator[str]:
    """Yield every run of so many words, or signs, in a row."""
    symbols = fold(part).symbols
    pattern, size = (_SIGN, SIGNS) if _is_chinese(part) else (_WORD, WORDS)
    words = [word.span() for word in pattern.finditer(symbols)]
    for at in range(len(words) - size + 1):
        run = symbols[words[at][0] : words[at + size - 1][1]]
        if len(run) <= LENGTH_MAX:
            yield run


def _is_chinese(text: str) -> bool:
    return len(_SIGN.findall(text)) > len(_WORD.findall(_SIGN.sub(" ", text)))
