"""How the providers, models and routes of config.yaml stand: which can be used, and why not. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from chatbot.config import LOCAL, Config
from chatbot.providers.health import UNKNOWN, Health

SPARE = "it answers only where nothing else is configured"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderStanding:
    """`reason` says why it cannot be used, empty when it can."""

    name: str
    kind: str
    reason: str

    @property
    def is_usable(self) -> bool:
        return not self.reason


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStanding:
    """`reason` says why it cannot be used, empty when it can. It may rest all the same: see `health`."""

    name: str
    provider: str
    model: str
    reason: str
    health: Health = UNKNOWN

    @property
    def is_usable(self) -> bool:
        return not self.reason

    @property
    def is_resting(self) -> bool:
        """Whether its breaker is open."""
        return self.health.resting_since is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteStanding:
    """`steps` as written: models with their weights."""

    name: str
    steps: tuple[tuple[tuple[str, float], ...], ...]
    reason: str

    @property
    def is_usable(self) -> bool:
        return not self.reason


@dataclass(frozen=True, slots=True)
class Standing:
    """All of it, in config.yaml's order, the model on this machine last."""

    providers: list[ProviderStanding] = field(default_factory=list)
    models: list[ModelStanding] = field(default_factory=list)
    routes: list[RouteStanding] = field(default_factory=list)


def standing(config: Config, healths: Mapping[str, Health]) -> Standing:
    """Say how everything stands. `healths` are what the breakers know of models, by name."""

    def why_not(provider: str) -> str:
        if provider == LOCAL and not config.needs_local:
            return SPARE
        return config.providers[provider].absent or ""

    return Standing(
        providers=[
            ProviderStanding(name=row.name, kind=row.kind, reason=why_not(row.name))
            for row in sorted(config.providers.values(), key=lambda row: row.name == LOCAL)
        ],
        models=[
            ModelStanding(
                name=row.name,
                provider=row.provider,
                model=row.model,
                reason=why_not(row.provider),
                health=healths.get(row.name, UNKNOWN),
            )
            for row in sorted(config.models.values(), key=lambda row: row.name == LOCAL)
        ],
        routes=[
            RouteStanding(
                name=row.name,
                steps=row.steps,
                reason="" if config.steps(row) else "none of its models can be used",
            )
            for row in config.routes.values()
        ],
    )
