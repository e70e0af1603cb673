"""YAML read into typed values, with `${NAME}` from the environment, and each mistake named by its line."""

import difflib
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import is_dataclass
from typing import Any, Final, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

import yaml

from chatbot import variables
from chatbot.providers.keys import Secret
from chatbot.variables import VariableError

_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})


class _Wrong:
    """Stands for a value that could not be read; its mistake has been noted."""


WRONG: Final = _Wrong()


class Entry(NamedTuple):
    """One `key: value` of a mapping."""

    key: yaml.ScalarNode
    value: yaml.Node


class YamlFile:
    """One parsed file. `mistakes` fills as values are read; nothing is raised on the way, so that
    an operator sees all of them at once."""

    def __init__(self, name: str, text: str, environ: Mapping[str, str]) -> None:
        self.name = name
        self.environ = environ
        self._readers: dict[type, Callable[[yaml.Node, str], Any]] = {
            str: self.text, Secret: self.secret, bool: self.flag, int: self.whole, float: self.number,
        }  # fmt: skip
        self._mistakes: list[tuple[int, str]] = []  # line and sentence
        self.root: yaml.Node | None = None
        try:
            loader = yaml.SafeLoader(text)
            self.root = loader.get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            self.wrong(mark.line + 1 if mark else 1, f"this is not YAML: {error.problem or error.context}.")
        except yaml.YAMLError as error:
            self.wrong(1, f"this is not YAML: {error}.")

    def wrong(self, where: yaml.Node | int, sentence: str) -> _Wrong:
        """Note a mistake: `sentence` ends with a full stop."""
        self._mistakes.append((where if isinstance(where, int) else line_of(where), sentence))
        return WRONG

    @property
    def mistakes(self) -> list[str]:
        """A sentence for each, in the order of their lines."""
        in_order = sorted(self._mistakes, key=lambda mistake: mistake[0])
        return [f"{self.name}, line {line}: {sentence}" for line, sentence in in_order]

    def entries(self, node: yaml.Node, what: str) -> dict[str, Entry]:
        """The keys of a mapping, in their order. A `what` that is no mapping is a mistake and empty."""
        if is_null(node):
            return {}
        if not isinstance(node, yaml.MappingNode):
            self.wrong(node, f"{what} must be a mapping of names to values.")
            return {}
        self._check_keys(node, what)
        try:
            yaml.SafeLoader("").flatten_mapping(node)  # anchors merged by `<<` go before what is said here
        except yaml.MarkedYAMLError as error:
            self.wrong(node, f"{what} cannot be merged: {error.problem}.")
            return {}
        found = {key.value: Entry(key, value) for key, value in node.value}
        node.value = list(found.values())
        return found

    def _check_keys(self, node: yaml.MappingNode, what: str) -> None:
        """Note and drop keys that are no names; note those that stand twice, of which YAML would
        silently take the last."""
        first: dict[str, yaml.Node] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode):
                self.wrong(key, f"{what} has a key that is no name.")
            elif key.value in first:
                there = line_of(first[key.value])
                self.wrong(key, f"{what} has `{key.value}` twice; the first is in line {there}.")
            else:
                first[key.value] = key
        node.value = [(key, value) for key, value in node.value if isinstance(key, yaml.ScalarNode)]

    def only(self, entries: Mapping[str, Entry], known: Iterable[str], what: str) -> None:
        """Note every name of `entries` that is not among the `known`."""
        names = tuple(known)
        for name, entry in entries.items():
            if name not in names:
                self.unknown(entry.key, f"{what} has no setting `{name}`", names)

    def given(self, entries: Mapping[str, Entry], shape: type, what: str) -> dict[str, Any]:
        """Read those entries that are fields of the dataclass `shape`, as their types say. What is not
        given or cannot be read is left out."""
        values = {
            name: self.read(entries[name].value, wanted, f"`{name}` of {what}")
            for name, wanted in get_type_hints(shape).items()
            if name in entries
        }
        return {name: value for name, value in values.items() if value is not WRONG}

    def unknown(self, node: yaml.Node, sentence: str, known: Iterable[str]) -> None:
        """Note that a name is not known, and what may have been meant."""
        names = sorted(known)
        near = difflib.get_close_matches(str(node.value), names, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"there are {listed(names)}."
        self.wrong(node, f"{sentence}; {hint}")

    def read(self, node: yaml.Node, wanted: Any, what: str) -> Any:
        """Read `node` as the type `wanted`, or note the mistake and return WRONG."""
        origin, inner = get_origin(wanted), get_args(wanted)
        if Secret in inner and origin is not tuple:
            return self.secret(node, what)  # an empty one is a statement: see ProviderRow.absent
        if origin in (Union, types.UnionType):
            if is_null(node) or self._is_empty(node):
                return None if type(None) in inner else WRONG
            return self.read(node, next(one for one in inner if one is not type(None)), what)
        if origin is Literal:
            text = self.text(node, what)
            if isinstance(text, _Wrong) or text in inner:
                return text
            return self.wrong(node, f"{what} is `{text}`; it must be {listed(inner, 'or')}.")
        if origin is tuple:
            return self._sequence(node, inner, what)
        if origin is Mapping or origin is dict:
            pairs = {name: self.text(entry.value, what) for name, entry in self.entries(node, what).items()}
            return WRONG if WRONG in pairs.values() else pairs
        if isinstance(wanted, type) and is_dataclass(wanted):
            entries = self.entries(node, what)
            self.only(entries, names_of(wanted), what)
            return wanted(**self.given(entries, wanted, what))
        return self._readers[wanted](node, what)

    def text(self, node: yaml.Node, what: str) -> str | _Wrong:
        """A scalar as text, variables expanded."""
        if is_null(node):
            return ""
        if not isinstance(node, yaml.ScalarNode):
            return self.wrong(node, f"{what} must be one value.")
        return self._expanded(node)

    def secret(self, node: yaml.Node, what: str) -> Secret | _Wrong:
        """A scalar as a secret; one that stands in a file follows it."""
        if is_null(node):
            return Secret("")
        if not isinstance(node, yaml.ScalarNode):
            return self.wrong(node, f"{what} must be one value.")
        try:
            return variables.secret(str(node.value), self.environ)
        except VariableError as error:
            return self.wrong(node, str(error))

    def number(self, node: yaml.Node, what: str) -> float | _Wrong:
        text = self.text(node, what)
        if isinstance(text, _Wrong):
            return text
        try:
            value = float(text)
        except ValueError:
            return self.wrong(node, f"{what} is `{text}`; it must be a number.")
        if value != value or value in (float("inf"), float("-inf")):
            return self.wrong(node, f"{what} is `{text}`; it must be a finite number.")
        return value

    def whole(self, node: yaml.Node, what: str) -> int | _Wrong:
        text = self.text(node, what)
        if isinstance(text, _Wrong):
            return text
        digits = text.strip().replace("_", "")
        if digits.isascii() and digits.isdigit() and 0 < int(digits) < 2**63:
            return int(digits)
        return self.wrong(node, f"{what} is `{text}`; it must be a whole number above 0.")

    def flag(self, node: yaml.Node, what: str) -> bool | _Wrong:
        text = self.text(node, what)
        if isinstance(text, _Wrong):
            return text
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        return self.wrong(node, f"{what} is `{text}`; it must be true or false.")

    def _sequence(self, node: yaml.Node, inner: tuple[Any, ...], what: str) -> Any:
        """`tuple[X, ...]` takes a list or a single value, `tuple[X, X]` a list of exactly two."""
        nodes = node.value if isinstance(node, yaml.SequenceNode) else [node]
        if inner[-1] is not Ellipsis and (len(nodes) != len(inner) or nodes == [node]):
            return self.wrong(node, f"{what} must be a list of {len(inner)} values.")
        values = tuple(self.read(one, inner[0], what) for one in nodes)
        return WRONG if WRONG in values else values

    def _is_empty(self, node: yaml.Node) -> bool:
        """Whether a scalar is empty once expanded. Asked before reading: mistakes are noted there."""
        if not isinstance(node, yaml.ScalarNode):
            return False
        noted = len(self._mistakes)
        empty = self._expanded(node) == ""
        del self._mistakes[noted:]
        return empty

    def _expanded(self, node: yaml.ScalarNode) -> str | _Wrong:
        """The scalar with its variables replaced."""
        try:
            return variables.expand(str(node.value), self.environ, is_secret=False)
        except VariableError as error:
            return self.wrong(node, str(error))


def names_of(shape: type) -> tuple[str, ...]:
    """The names of a dataclass's fields."""
    return tuple(get_type_hints(shape))


def line_of(node: yaml.Node) -> int:
    """The line on which `node` begins, counted from 1."""
    return int(node.start_mark.line) + 1


def is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == "tag:yaml.org,2002:null"


def listed(names: Iterable[object], joint: str = "and") -> str:
    """`a`, `b` and `c`."""
    quoted = [f"`{name}`" for name in names]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} {joint} {quoted[-1]}"
