"""The routes of this process: config.yaml, built once for its event loop."""

import os

from django.conf import settings

from chatbot import config
from chatbot.providers.fallback import Route


class Routes:
    """Routes by name, with their providers' open connections."""

    def __init__(self, catalog: config.Catalog) -> None:
        self._catalog = catalog

    @classmethod
    def load(cls) -> "Routes":
        """Build what config.yaml says. Raises config.ConfigError."""
        return cls(config.load(settings.CONFIG_FILE, os.environ).build())

    def named(self, name: str) -> Route:
        """Return the route of this name, else `default`, else one without a usable model."""
        routes = self._catalog.routes
        return routes.get(name) or routes.get("default") or Route(name=name, steps=())

    async def aclose(self) -> None:
        """Close all connections."""
        await self._catalog.aclose()
