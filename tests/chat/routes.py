"""Routes that need no config.yaml."""

from typing import Any

from chatbot.providers.base import Provider, Target
from chatbot.providers.fallback import Route, Step, WeightedTarget
from conversations.routes import Routes


class FixedRoutes(Routes):
    """One route, `default`, to one model of one provider. `target` overrides fields of its Target."""

    def __init__(self, provider: Provider, **target: Any) -> None:
        options: dict[str, Any] = {"context_tokens": 8000, "max_output_tokens": 500} | target
        self.provider = provider
        self.route = Route(
            name="default",
            steps=(Step((WeightedTarget(Target(name="quick", provider=provider, model="m-1", **options)),)),),
        )

    def named(self, name: str) -> Route:
        return self.route

    async def aclose(self) -> None:
        await self.provider.aclose()
