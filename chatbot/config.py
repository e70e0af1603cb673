"""config.yaml: which model services there are, which of their models we use, and in what order.

    providers: {house: {kind: openai, base_url: "http://127.0.0.1:8081/v1", api_key: "${HOUSE_KEY}"}}
    models:    {quick: {provider: house, model: small-chat, max_output_tokens: 800}}
    routes:    {default: [quick, local]}

`load` reads and checks it without touching a network; `Config.build` makes the providers. A provider
whose secret is given but empty is absent, and so are its models: routes go on without them. `local`
is the model on this machine; it serves a route in which nothing else is configured.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chatbot.configfile import LOCAL, Reading
from chatbot.configrows import ModelRow, ModerationRow, ProviderRow, RouteRow, StepRow
from chatbot.prices import Prices
from chatbot.providers import breaker, moderations, registry
from chatbot.providers.base import CallLimits, Gate, OpenGate, Provider, ServiceSettings, Target
from chatbot.providers.fallback import Route, Step, WeightedTarget
from chatbot.providers.messages import Parameters
from chatbot.providers.moderations import Moderator
from chatbot.providers.tokens import ProcessTokens, TokenStore

__all__ = [
    "LOCAL", "Catalog", "Config", "ConfigError", "ModelRow", "ModerationRow", "Prices", "ProviderRow",
    "RouteRow", "load",
]  # fmt: skip


class ConfigError(Exception):
    """config.yaml cannot be used. `mistakes` holds a sentence for each, with its line."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        super().__init__("\n".join(mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True)
class Catalog:
    """The routes and targets that can be used, with their connections. It belongs to one event loop."""

    routes: Mapping[str, Route]
    targets: Mapping[str, Target]
    providers: Mapping[str, Provider]

    def notes(self) -> list[str]:
        """What models do not take of what config.yaml says, for the operator to know: a sentence each."""
        return [note for route in self.routes.values() for note in route.notes(Parameters())]

    async def aclose(self) -> None:
        """Close all connections; running streams break."""
        for provider in self.providers.values():
            await provider.aclose()


@dataclass(frozen=True, slots=True)
class Config:
    """Everything config.yaml says, by name, in its order."""

    providers: Mapping[str, ProviderRow]
    models: Mapping[str, ModelRow]
    routes: Mapping[str, RouteRow]
    moderation: ModerationRow | None = None

    @property
    def needs_local(self) -> bool:
        """Whether any route has to be answered by the model on this machine."""
        return any(self.steps(route) == (((LOCAL, 1.0),),) for route in self.routes.values())

    def health_keys(self) -> dict[str, str]:
        """Where the processes keep what they know of each model's health, by name; see `health.load`."""
        return {
            row.name: breaker.key(
                row.name,
                provider=row.provider,
                model=row.model,
                address=self.providers[row.provider].settings.base_url,
            )
            for row in self.models.values()
        }

    def steps(self, route: RouteRow) -> tuple[StepRow, ...]:
        """The steps of `route` that are configured; `local` alone if it is listed and nothing else is."""
        usable = [
            tuple((name, weight) for name, weight in step if name != LOCAL and self._is_present(name))
            for step in route.steps
        ]
        if any(usable):
            return tuple(step for step in usable if step)
        listed_local = any(name == LOCAL for step in route.steps for name, _ in step)
        return (((LOCAL, 1.0),),) if listed_local else ()

    def build(self, *, tokens: TokenStore | None = None, gate: Gate | None = None) -> Catalog:
        """Make the providers that some usable model needs, and the routes over them. Opens nothing yet.

        `tokens` is where providers share access tokens with other processes, `gate` what every call
        of a route passes."""
        providers: dict[str, Provider] = {}
        targets: dict[str, Target] = {}
        for row in self.models.values():
            service = self.providers[row.provider]
            if service.absent is not None:
                continue
            if service.name not in providers:
                providers[service.name] = registry.build(
                    service.kind, service.name, service.settings, tokens=tokens
                )
            targets[row.name] = _target(row, providers[service.name], service.settings)
        routes = {
            row.name: Route(
                name=row.name,
                steps=tuple(_step(step, targets) for step in self.steps(row)),
                total_s=row.total_s,
                parameters=row.parameters,
                limits=row.limits,
                gate=gate or OpenGate(),
            )
            for row in self.routes.values()
        }
        return Catalog(routes, targets, providers)

    def moderator(self, *, tokens: TokenStore | None = None) -> Moderator | None:
        """Make what judges texts; None where no service is to. Opens nothing yet."""
        if self.moderation is None:
            return None
        service = self.providers[self.moderation.provider]
        return moderations.build(
            service.name,
            service.settings,
            model=self.moderation.model,
            tokens=tokens or ProcessTokens(),
            timeouts=service.settings.timeout_s,
        )

    def _is_present(self, model: str) -> bool:
        return self.providers[self.models[model].provider].absent is None


def _target(row: ModelRow, provider: Provider, service: ServiceSettings) -> Target:
    own = row.limits
    return Target(
        name=row.name,
        provider=provider,
        model=row.model,
        address=service.base_url,
        context_tokens=row.context_tokens,
        max_output_tokens=row.max_output_tokens,
        parameters=row.parameters,
        timeouts=row.timeouts,
        limits=own,
        service_limits=CallLimits(
            rpm=None if own.rpm else service.rpm,
            tpm=None if own.tpm else service.tpm,
            parallel=None if own.parallel else service.parallel,
        ),
        stream=row.stream,
        traits=row.traits,
    )


def _step(step: StepRow, targets: Mapping[str, Target]) -> Step:
    """The step's targets. `local` is configured but not there when nobody has started it."""
    return Step(tuple(WeightedTarget(targets[name], weight) for name, weight in step if name in targets))


def load(path: Path | str, environ: Mapping[str, str]) -> Config:
    """Read config.yaml. Raises ConfigError with a sentence for each mistake.

    `environ` fills `${NAME}`; it is also where the supervisor says where the local model is
    (LOCAL_MODEL_URL, LOCAL_MODEL_KEY, LOCAL_MODEL_CONTEXT).
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError([f"{path.name} cannot be read: {error.strerror}."]) from error
    except UnicodeDecodeError as error:
        raise ConfigError([f"{path.name} is not UTF-8 text."]) from error
    reading = Reading(path.name, text, environ)
    if reading.file.mistakes:
        raise ConfigError(reading.file.mistakes)
    return Config(reading.providers, reading.models, reading.routes, reading.moderation)
