"""The cast of these tests: `service`, a model service on the loopback, and for the tests that run for
every kind of the registry `kind`, `sample` (how it speaks) and `provider` (asks `service`)."""

from collections.abc import AsyncIterator

import pytest

from chatbot.providers import registry
from chatbot.providers.http import HttpProvider
from tests.providers.asking import provider_at
from tests.providers.loopback import Loopback, json_reply, loopback
from tests.providers.wires import SAMPLES, Sample


@pytest.fixture
async def service() -> AsyncIterator[Loopback]:
    async with loopback() as running:
        running.fixed["/oauth/2.0/token"] = json_reply(200, {"access_token": "tok-1"})
        yield running


@pytest.fixture(params=sorted(set(registry.KINDS) - {"scripted"}))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def sample(kind: str) -> Sample:
    return SAMPLES[kind]


@pytest.fixture
async def provider(kind: str, sample: Sample, service: Loopback) -> AsyncIterator[HttpProvider]:
    made = provider_at(service.url, kind, **sample.settings)
    yield made
    await made.aclose()
