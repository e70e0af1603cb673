"""What config.yaml says, as typed rows."""

from dataclasses import dataclass, field
from typing import Literal

from chatbot.prices import Prices
from chatbot.providers.base import CallLimits, ModelTraits, ServiceSettings, Timeouts
from chatbot.providers.messages import Parameters
from chatbot.providers.parameters import Limits

StepRow = tuple[tuple[str, float], ...]
"""Model names with their weights."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderRow:
    """A service. `absent` says why it is not used, None when it is. Line 0 is the built-in one."""

    name: str
    kind: str
    settings: ServiceSettings
    absent: str | None
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRow:
    """A model at a provider. `limits` are its own, each None where its provider's holds."""

    name: str
    provider: str
    model: str
    context_tokens: int | None
    max_output_tokens: int | None
    timeouts: Timeouts
    traits: ModelTraits
    stream: bool = True
    parameters: Parameters = field(default_factory=Parameters)
    limits: CallLimits = field(default_factory=CallLimits)
    prices: Prices | None = None
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRow:
    """`steps` as written, configured or not."""

    name: str
    steps: tuple[StepRow, ...]
    total_s: float
    parameters: Parameters
    limits: Limits
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationRow:
    """A service that judges what was said, after it was. A text is hidden, or only flagged (`action`), where
    one of `categories` (empty: any) has a score of `threshold`; None: where the service itself says so."""

    provider: str = ""
    model: str = "omni-moderation-latest"
    categories: tuple[str, ...] = ()
    threshold: float | None = None
    action: Literal["hide", "flag"] = "hide"
