"""What a model service is to the rest of the product."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from chatbot.providers.capabilities import Capabilities
from chatbot.providers.events import ProviderEvent
from chatbot.providers.keys import Secret
from chatbot.providers.messages import CompletionRequest, Parameters, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Limits of one request, in seconds. `first`, `idle` and `total` look at parsed deltas, text
    or reasoning: a comment or a trickle of bytes counts for nothing."""

    connect_s: float = 5.0
    first_s: float = 30.0
    idle_s: float = 30.0
    total_s: float = 180.0


@dataclass(frozen=True, slots=True, kw_only=True)
class CallLimits:
    """How much we allow ourselves: requests and tokens a minute, calls at once. None: no limit."""

    rpm: int | None = None
    tpm: int | None = None
    parallel: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceSettings:
    """What every provider row of config.yaml may say; each kind adds its own in a subclass.

    `base_url` is without a slash at its end. `auth_header` names the header that carries the key
    (None: the kind's own way). `rpm`, `tpm` and `parallel` are read by the gate.
    """

    base_url: str = ""
    proxy: str | None = field(default=None, repr=False)
    timeout_s: Timeouts = field(default_factory=Timeouts)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    auth_header: str | None = None
    rpm: int | None = None
    tpm: int | None = None
    parallel: int | None = None

    def missing(self) -> tuple[str, ...]:
        """The settings without which this row cannot work, and which it lacks."""
        return () if self.base_url else ("base_url",)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelTraits:
    """What a kind lets a model row say about its model beyond the fields of Target: nothing here.
    An adapter with peculiar models derives its own."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """A model at a provider: a model row of config.yaml, ready to be asked.

    `name` is the row's name, `model` the service's own word for it. `context_tokens` bounds prompt
    and answer together; None is unknown. `max_output_tokens` is both default and bound of the
    answer. `stream` False asks for the whole answer at once. `limits` are the row's own, counted for
    it alone; `service_limits` are its provider's, counted for all rows without their own. `key` is the
    one to use for this call, None leaves the choice to the provider. `address` tells apart services
    that had the same names at different times."""

    name: str
    provider: "Provider"
    model: str
    address: str = ""
    context_tokens: int | None = None
    max_output_tokens: int | None = None
    parameters: Parameters = field(default_factory=Parameters)
    timeouts: Timeouts = field(default_factory=Timeouts)
    limits: CallLimits = field(default_factory=CallLimits)
    service_limits: CallLimits = field(default_factory=CallLimits)
    key: Secret | None = None
    stream: bool = True
    traits: ModelTraits = field(default_factory=ModelTraits)


class Provider(Protocol):
    """Speaks to one model service. `name` is the provider row of config.yaml."""

    @property
    def name(self) -> str: ...

    def capabilities(self, target: Target, asked: Parameters) -> Capabilities:
        """What `target` takes when it is asked with these parameters. The rest of them is left out or
        moved into range by `stream`; see capabilities.notes."""
        ...

    def stream(self, request: CompletionRequest, *, target: Target) -> AsyncGenerator[ProviderEvent, None]:
        """Ask `target` and yield its events as they come, CompletionFinished last, or raise ProviderError.

        An async generator: read it inside `aclosing`, which ends the service's stream at once.
        Deltas that arrived together may come as one.
        """
        ...

    async def aclose(self) -> None:
        """Close the connections; running streams break."""
        ...


class Admission(Protocol):
    """A call that was let through. `target` is the one to ask."""

    @property
    def target(self) -> Target: ...

    def began(self) -> None:
        """Note that the first delta has come; may be said again."""
        ...

    def finished(self, usage: Usage) -> None:
        """Note that the answer is whole, and what it cost."""
        ...


class Gate(Protocol):
    """Lets calls through to a target: breakers and client-side limits stand here."""

    def admit(
        self, target: Target, request: CompletionRequest, *, within_s: float
    ) -> AbstractAsyncContextManager[Admission]:
        """Enter before the request, leave after its last event: the exception that leaves with it
        (ProviderError, or None for a whole answer) is the call's outcome. May wait for a bounded time,
        at most `within_s`, then raises TryLater (`limited`, `unavailable`): the next target is asked."""
        ...


@dataclass(frozen=True, slots=True)
class Unwatched:
    """An admission of which nobody wants to hear."""

    target: Target

    def began(self) -> None:
        """Nobody hears it."""

    def finished(self, usage: Usage) -> None:
        """Nobody hears it."""


class OpenGate:
    """Lets every call through."""

    def admit(
        self, target: Target, request: CompletionRequest, *, within_s: float
    ) -> AbstractAsyncContextManager[Admission]:
        return nullcontext(Unwatched(target))
