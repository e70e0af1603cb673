from collections.abc import Iterator

import pytest
from pytest_django import Settings

from tests.redis_server import RedisServer


@pytest.fixture
def redis_server(settings: Settings) -> Iterator[RedisServer]:
    """A Redis of this test's own; the settings name it."""
    server = RedisServer()
    settings.REDIS_URL = server.url
    yield server
    server.close()
