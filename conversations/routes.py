"""The routes of this process: config.yaml, built once for its event loop."""

import os

from django.conf import settings

from chatbot import config
from chatbot.providers.base import Target
from chatbot.providers.fallback import Route


class Routes:
    """Routes by name, with their providers' open connections."""

    def __init__(self, catalog: config.Catalog) -> None:
        self._catalog = catalog

    @classmethod
    def config(cls) -> config.Config:
        """Return what config.yaml says. Raises config.ConfigError."""
        return config.load(settings.CONFIG_FILE, os.environ)

    @classmethod
    def load(cls) -> "Routes":
        """Build what config.yaml says. Raises config.ConfigError."""
        return cls(cls.config().build())

    def named(self, name: str) -> Route:
        """Return the route of this name, else `default`, else one without a usable model."""
        routes = self._catalog.routes
        return routes.get(name) or routes.get("default") or Route(name=name, steps=())

    def target(self, name: str) -> Target | None:
        """Return a usable model row as a target; None where its provider is absent."""
        return self._catalog.targets.get(name)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._catalog.aclose()
