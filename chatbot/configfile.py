"""What stands in config.yaml, as typed rows; what is wrong in it, as sentences with their lines."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Any

import yaml

from chatbot.configrows import ModelRow, ModerationRow, ProviderRow, RouteRow, StepRow
from chatbot.prices import Prices
from chatbot.providers import registry
from chatbot.providers.base import CallLimits, ServiceSettings, Timeouts
from chatbot.providers.keys import Secret
from chatbot.providers.messages import Parameters
from chatbot.providers.parameters import RANGED, Limits
from chatbot.servicefaults import faults
from chatbot.yamlfile import Entry, YamlFile, is_null, line_of, listed, names_of

LOCAL = "local"
LOCAL_OUTPUT_TOKENS = 400  # the small model rambles: some 300 words are enough to see it work
LOCAL_TIMEOUTS = Timeouts(first_s=120)  # it reads a long prompt slowly on one core
ROUTE_TOTAL_S = 60.0

# OpenAI's ranges; an adapter clamps further for its own service.
RANGES = {"temperature": (0, 2), "top_p": (0, 1), "frequency_penalty": (-2, 2), "presence_penalty": (-2, 2)}
PARAMETERS = (*RANGED, "max_output_tokens", "stop", "reasoning_effort")
TIMEOUTS = ("connect", "first", "idle", "total")
SECTIONS = ("providers", "models", "routes")
MODERATION = "moderation"
NAME_CHARS = 50  # the database keeps 64, also of a name with something in front
MODEL_CHARS = 128  # what the database keeps of a service's own name
CURRENCY = re.compile("[A-Za-z]{3}")  # ISO 4217


@dataclass(frozen=True, slots=True, kw_only=True)
class _ModelSettings:
    """What a model row says besides parameters and traits."""

    provider: str = ""
    model: str = ""
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    stream: bool = True
    rpm: int | None = None
    tpm: int | None = None
    parallel: int | None = None
    prices: Prices | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _RouteSettings:
    """What a route says besides parameters."""

    total_s: float = ROUTE_TOTAL_S
    limits: Limits = field(default_factory=Limits)


class Reading:
    """One pass over the file, top to bottom: providers, models, routes, and who moderates."""

    def __init__(self, name: str, text: str, environ: Mapping[str, str]) -> None:
        self.file = YamlFile(name, text, environ)
        self.providers: dict[str, ProviderRow] = {}
        self.models: dict[str, ModelRow] = {}
        self.routes: dict[str, RouteRow] = {}
        self.moderation: ModerationRow | None = None
        self._broken: set[str] = set()  # rows with a mistake of their own: naming one is no second mistake
        self._local()
        if self.file.root is not None:
            self._read(self.file.root)
        elif not self.file.mistakes:
            self.file.wrong(1, "the file is empty; it needs `providers`, `models` and `routes`.")

    def _read(self, root: yaml.Node) -> None:
        sections = self.file.entries(root, "the file")
        self.file.only(sections, (*SECTIONS, MODERATION), "the file")
        for section, read in zip(SECTIONS, (self._provider, self._model, self._route), strict=True):
            if section in sections:
                for name, entry in self.file.entries(sections[section].value, f"`{section}`").items():
                    noted = len(self.file.mistakes)
                    if not 0 < len(name) <= NAME_CHARS or not name.isprintable():
                        sentence = f"a name in `{section}` must have 1 to {NAME_CHARS} printable characters."
                        self.file.wrong(entry.key, sentence)
                    read(name, entry)
                    if len(self.file.mistakes) > noted:
                        self._broken.add(name)
        if MODERATION in sections and not is_null(sections[MODERATION].value):
            self._moderation(sections[MODERATION])
        if "default" not in self.routes and "default" not in self._broken:
            where = sections["routes"].key if "routes" in sections else 1
            self.file.wrong(where, "there is no route `default`; assistants use it unless told otherwise.")

    def _moderation(self, entry: Entry) -> None:
        what = f"`{MODERATION}`"
        said = self.file.entries(entry.value, what)
        self.file.only(said, names_of(ModerationRow), what)
        row = ModerationRow(**self.file.given(said, ModerationRow, what))
        service = self.providers.get(row.provider)
        if service is None:
            if row.provider not in self._broken:
                where = said["provider"].value if "provider" in said else entry.key
                sentence = f"{what} names the unknown provider `{row.provider}`"
                self.file.unknown(where, sentence, {*self.providers, *self._broken})
        elif service.kind != "openai" or row.provider == LOCAL:
            self.file.wrong(said["provider"].value, f"`{row.provider}` in {what} has no moderation.")
        elif row.threshold is not None and not 0 < row.threshold <= 1:
            self.file.wrong(said["threshold"].value, f"`threshold` of {what} must be above 0, and at most 1.")
        elif service.absent is None:
            self.moderation = row

    def _local(self) -> None:
        """Add the built-in provider and model, as the supervisor's environment describes them."""
        environ = self.file.environ
        url, context = environ.get("LOCAL_MODEL_URL", ""), environ.get("LOCAL_MODEL_CONTEXT", "") or "4096"
        if not context.isdigit():
            self.file.wrong(0, f"LOCAL_MODEL_CONTEXT is `{context}`; it must be a whole number.")
            context = "4096"
        kind = registry.KINDS["openai"]
        self.providers[LOCAL] = ProviderRow(
            name=LOCAL,
            kind="openai",
            settings=kind.settings(
                base_url=url.rstrip("/"),
                api_key=Secret(environ.get("LOCAL_MODEL_KEY", "")),
                output_limit_field="max_tokens",
            ),
            absent=None if url else "the model on this machine is not running; `manage.py serve` starts it",
            line=0,
        )
        self.models[LOCAL] = ModelRow(
            name=LOCAL,
            provider=LOCAL,
            model=LOCAL,
            context_tokens=int(context),
            max_output_tokens=LOCAL_OUTPUT_TOKENS,
            timeouts=LOCAL_TIMEOUTS,
            traits=kind.traits(),
        )

    def _provider(self, name: str, entry: Entry) -> None:
        what = f"provider `{name}`"
        if name == LOCAL:
            self.file.wrong(entry.key, "`local` is the built-in provider; choose another name.")
            return
        said = self.file.entries(entry.value, what)
        kind, preset = self._kind(said, entry, what)
        if kind is None:
            return
        shape = registry.KINDS[kind].settings
        self.file.only(said, names_of(shape), what)
        timeouts = self._timeouts(said.pop("timeout_s", None), shape(**preset).timeout_s, what)
        given = self.file.given(said, shape, what)
        values: dict[str, Any] = {**preset, **given, "timeout_s": timeouts}
        for table in ("headers", "query"):
            values[table] = {**preset.get(table, {}), **given.get(table, {})}
        settings = shape(**values)
        settings = replace(settings, base_url=settings.base_url.rstrip("/"))
        empty = [key for key, value in given.items() if _is_empty_secret(value)]
        for setting, name_within, sentence in faults(kind, settings):
            where = said[setting].value if setting in said else entry.key
            self.file.wrong(where, f"`{name_within}` of {what} {sentence}.")
        if not empty:
            self._check_given(settings, said, entry, what)
        self.providers[name] = ProviderRow(
            name=name,
            kind=kind,
            settings=settings,
            absent=f"{listed(empty)} {'are' if empty[1:] else 'is'} empty" if empty else None,
            line=line_of(entry.key),
        )

    def _check_given(
        self, settings: ServiceSettings, said: Mapping[str, Entry], entry: Entry, what: str
    ) -> None:
        for missing in settings.missing():
            where = said[missing].value if missing in said else entry.key
            self.file.wrong(where, f"{what} needs `{missing}`.")
        keys = said["api_keys"].value if "api_keys" in said else None
        if isinstance(keys, yaml.SequenceNode) and not keys.value:
            self.file.wrong(keys, f"`api_keys` of {what} holds no key.")

    def _kind(self, said: dict[str, Entry], entry: Entry, what: str) -> tuple[str | None, Mapping[str, Any]]:
        """Take `kind` or `preset` out of what a provider says; a preset's settings come with it."""
        given = {word: said.pop(word) for word in ("kind", "preset") if word in said}
        if len(given) != 1:
            self.file.wrong(entry.key, f"{what} needs a `kind` or a `preset`, and not both.")
            return None, {}
        [(word, one)] = given.items()
        known: Mapping[str, object] = registry.KINDS if word == "kind" else registry.PRESETS
        name = self.file.text(one.value, f"`{word}` of {what}")
        if not isinstance(name, str):
            return None, {}
        if name not in known:
            self.file.unknown(one.value, f"{what} has the unknown {word} `{name}`", known)
            return None, {}
        if word == "kind":
            return name, {}
        return registry.PRESETS[name].kind, registry.PRESETS[name].settings

    def _model(self, name: str, entry: Entry) -> None:
        what = f"model `{name}`"
        if name == LOCAL:
            self.file.wrong(entry.key, "`local` is the built-in model; choose another name.")
            return
        said = self.file.entries(entry.value, what)
        given = self.file.given(said, _ModelSettings, what)
        own = _ModelSettings(**given)
        for needed in ("provider", "model"):
            if not getattr(own, needed) and (needed in given or needed not in said):
                self.file.wrong(entry.key, f"{what} needs `{needed}`.")
        if own.provider not in self.providers:
            if own.provider and own.provider not in self._broken:
                sentence = f"{what} names the unknown provider `{own.provider}`"
                self.file.unknown(said["provider"].value, sentence, {*self.providers, *self._broken})
            self._broken.add(name)
            return
        self._check_model(own, said, what)
        service = self.providers[own.provider].settings
        traits = registry.KINDS[self.providers[own.provider].kind].traits
        own_names = names_of(_ModelSettings)
        known = dict.fromkeys((*own_names, "timeout_s", *PARAMETERS, *names_of(traits)))
        self.file.only(said, known, what)
        self.models[name] = ModelRow(
            name=name,
            provider=own.provider,
            model=own.model,
            context_tokens=own.context_tokens,
            max_output_tokens=own.max_output_tokens,
            stream=own.stream,
            parameters=self._parameters(said, what, without=own_names),
            timeouts=self._timeouts(said.get("timeout_s"), service.timeout_s, what),
            limits=CallLimits(rpm=own.rpm, tpm=own.tpm, parallel=own.parallel),
            prices=own.prices,
            traits=traits(**self.file.given(said, traits, what)),
            line=line_of(entry.key),
        )

    def _check_model(self, own: _ModelSettings, said: Mapping[str, Entry], what: str) -> None:
        if len(own.model) > MODEL_CHARS or not own.model.isprintable():
            sentence = f"`model` of {what} must have at most {MODEL_CHARS} printable characters."
            self.file.wrong(said["model"].value, sentence)
        if own.context_tokens and (own.max_output_tokens or 0) >= own.context_tokens:
            sentence = f"`max_output_tokens` of {what} leaves no room for a question in its `context_tokens`."
            self.file.wrong(said["max_output_tokens"].value, sentence)
        if own.prices is None:
            return
        for each in ("input", "output", "cached_input"):
            if (getattr(own.prices, each) or 0) < 0:
                sentence = f"`{each}` in `prices` of {what} must not be below 0."
                self.file.wrong(said["prices"].value, sentence)
        if not CURRENCY.fullmatch(own.prices.currency):
            sentence = f"`currency` in `prices` of {what} must be three letters, such as USD."
            self.file.wrong(said["prices"].value, sentence)

    def _route(self, name: str, entry: Entry) -> None:
        what = f"route `{name}`"
        if isinstance(entry.value, yaml.SequenceNode):
            said = {"steps": entry}
        else:
            said = self.file.entries(entry.value, what)
        self.file.only(said, ("steps", *names_of(_RouteSettings), *PARAMETERS), what)
        if "steps" not in said:
            self.file.wrong(entry.key, f"{what} needs `steps`, a list of models.")
            return
        own = _RouteSettings(**self.file.given(said, _RouteSettings, what))
        if own.total_s <= 0:
            self.file.wrong(said["total_s"].value, f"`total_s` of {what} must be above 0.")
        self._check_limits(own.limits, said, what)
        self.routes[name] = RouteRow(
            name=name,
            steps=self._steps(said["steps"].value, what),
            total_s=own.total_s,
            parameters=self._parameters(said, what),
            limits=own.limits,
            line=line_of(entry.key),
        )

    def _steps(self, node: yaml.Node, what: str) -> tuple[StepRow, ...]:
        if not isinstance(node, yaml.SequenceNode) or not node.value:
            self.file.wrong(node, f"`steps` of {what} must be a list of models.")
            return ()
        steps = tuple(step for one in node.value if (step := self._step(one, what)))
        names = [name for step in steps for name, _ in step]
        for name in dict.fromkeys(name for name in names if names.count(name) > 1):
            self.file.wrong(node, f"{what} names the model `{name}` twice.")
        return steps

    def _step(self, node: yaml.Node, what: str) -> StepRow:
        """One model, or several with their weights."""
        if isinstance(node, yaml.ScalarNode):
            name = self.file.text(node, f"a step of {what}")
            return ((name, 1.0),) if isinstance(name, str) and self._is_model(name, node, what) else ()
        if isinstance(node, yaml.MappingNode) and not node.value:
            self.file.wrong(node, f"a step of {what} names no model.")
        step = []
        for name, entry in self.file.entries(node, f"a step of {what}").items():
            weight = self.file.number(entry.value, f"the weight of `{name}` in {what}")
            if isinstance(weight, float) and weight <= 0:
                self.file.wrong(entry.value, f"the weight of `{name}` in {what} must be above 0.")
            elif isinstance(weight, float) and self._is_model(name, entry.key, what):
                step.append((name, weight))
        return tuple(step)

    def _is_model(self, name: str, node: yaml.Node, what: str) -> bool:
        if name not in self.models and name not in self._broken:
            self.file.unknown(node, f"{what} names the unknown model `{name}`", {*self.models, *self._broken})
        return name in self.models

    def _parameters(self, said: Mapping[str, Entry], what: str, *, without: Iterable[str] = ()) -> Parameters:
        """The parameters among what is `said`, checked against their ranges."""
        mine = {name: said[name] for name in PARAMETERS if name in said and name not in without}
        values = self.file.given(mine, Parameters, what)
        for name, (lowest, highest) in RANGES.items():
            if values.get(name) is not None and not lowest <= values[name] <= highest:
                sentence = f"`{name}` of {what} is {values[name]:g}; it must be from {lowest} to {highest}."
                self.file.wrong(mine[name].value, sentence)
        if "" in values.get("stop", ()):
            self.file.wrong(mine["stop"].value, f"`stop` of {what} holds an empty text.")
        return Parameters(**values)

    def _check_limits(self, limits: Limits, said: Mapping[str, Entry], what: str) -> None:
        for name, (lowest, highest) in RANGES.items():
            allowed = getattr(limits, name)
            if allowed and not lowest <= allowed[0] <= allowed[1] <= highest:
                sentence = (
                    f"the limit of `{name}` in {what} must be two rising numbers from {lowest} to {highest}."
                )
                self.file.wrong(said["limits"].value, sentence)

    def _timeouts(self, entry: Entry | None, base: Timeouts, what: str) -> Timeouts:
        """`{connect: 5, first: 30, idle: 30, total: 180}`, each over `base`."""
        if entry is None:
            return base
        said = self.file.entries(entry.value, f"`timeout_s` of {what}")
        self.file.only(said, TIMEOUTS, f"`timeout_s` of {what}")
        values = {}
        for name in TIMEOUTS:
            if name not in said:
                continue
            seconds = self.file.number(said[name].value, f"`{name}` in `timeout_s` of {what}")
            if isinstance(seconds, float) and seconds <= 0:
                self.file.wrong(said[name].value, f"`{name}` in `timeout_s` of {what} must be above 0.")
            elif isinstance(seconds, float):
                values[f"{name}_s"] = seconds
        return replace(base, **values)


def _is_empty_secret(value: object) -> bool:
    """Whether a secret was given, and is empty: `${NAME}` without NAME."""
    if isinstance(value, tuple):
        return bool(value) and all(isinstance(one, Secret) and not one for one in value)
    if is_dataclass(value):
        return any(_is_empty_secret(getattr(value, one.name)) for one in fields(value))
    return isinstance(value, Secret) and not value
