"""What of the conversation the model does not see: masked passages stand as placeholders. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from conversations.history import Entry
from conversations.moderation.placeholders import Passage, Placeholders, replaced
from conversations.moderation.ruleset import Ruleset


@dataclass(frozen=True, slots=True)
class Hidden:
    """`passages` by position of the message; `originals` of the placeholders; `values` the visitor told."""

    passages: Mapping[int, Sequence[Passage]]
    originals: Mapping[str, str]
    values: frozenset[str]


NOTHING = Hidden({}, {}, frozenset())


def hide(entries: Sequence[Entry], rules: Ruleset, earlier: Iterable[str]) -> tuple[list[Entry], Hidden]:
    """Return messages as the model sees them, oldest first, and what is hidden of them.

    `earlier` are the visitor's messages before these in which something was masked: they count, so that
    a value has one placeholder throughout a conversation.
    """
    placeholders = Placeholders(rules)
    for text in earlier:
        placeholders.passages(text)
    shown: list[Entry] = []
    passages: dict[int, Sequence[Passage]] = {}
    for entry in entries:
        find = placeholders.passages if entry.is_visitor else placeholders.known_passages
        found = find(entry.text)
        if found:
            passages[entry.position] = found
            entry = entry._replace(text=replaced(entry.text, found))
        shown.append(entry)
    if not passages:
        return shown, NOTHING
    return shown, Hidden(passages, placeholders.originals, placeholders.values)


def again(entry: Entry, stored: Mapping[str, Sequence[Passage]]) -> Entry:
    """Return a message as a model saw it, by what its window has stored."""
    passages = stored.get(str(entry.position))
    return entry if not passages else entry._replace(text=replaced(entry.text, passages))
