"""The cast of the faults: a product that may be broken."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.faults.database import Database, blueprint
from tests.faults.product import Product


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "waits: waits for a while, as nothing tells that nothing happens.")


@pytest.fixture(scope="session")
def filled_database(tmp_path_factory: pytest.TempPathFactory) -> Database:
    """A database with all tables and the demo shop, to be copied."""
    return blueprint(tmp_path_factory.mktemp("blueprint"))


@pytest_asyncio.fixture
async def product(tmp_path: Path, filled_database: Database) -> AsyncIterator[Product]:
    """The product, with no process running yet. At its end no log may hold what nobody expected."""
    made = Product(tmp_path, filled_database.copy(tmp_path))
    yield made
    await made.close()
