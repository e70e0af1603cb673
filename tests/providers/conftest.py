"""The cast of these tests: `service`, a model service on the loopback."""

from collections.abc import AsyncIterator

import pytest

from tests.providers.loopback import Loopback, loopback


@pytest.fixture
async def service() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        yield running
