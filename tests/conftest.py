"""The cast. Everybody here is known to every test."""

from collections.abc import Iterator, Sequence

import pytest
from django.db.backends.base.operations import BaseDatabaseOperations
from pytest_django import Settings

from conversations import billing
from conversations.models import Assistant, PromptVersion, appendonly
from tests.redis_server import RedisServer


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Keep SQLite's test database in a file: threads and processes share it as they do in life."""
    from django.conf import settings

    default = settings.DATABASES["default"]
    if "sqlite" in default["ENGINE"]:
        default.setdefault("TEST", {})["NAME"] = str(tmp_path_factory.mktemp("database") / "test.sqlite3")


@pytest.fixture(scope="session", autouse=True)
def _tables_can_be_emptied() -> Iterator[None]:
    """Lift the triggers of append-only tables while a test's rows are flushed; post_migrate restores them."""
    flush = BaseDatabaseOperations.execute_sql_flush

    def lifted(operations: BaseDatabaseOperations, statements: Sequence[str]) -> None:
        appendonly.lift()
        flush(operations, statements)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseDatabaseOperations, "execute_sql_flush", lifted)
        yield


@pytest.fixture(autouse=True)
def _money_is_new() -> None:
    """Each test has prices and budgets of its own."""
    billing.forget()


@pytest.fixture
def northwind(transactional_db: None) -> Assistant:
    """The demo shop's assistant, with one live version."""
    assistant = Assistant.objects.create(
        slug="northwind",
        name="Northwind Assistant",
        house="Northwind",
        languages=["en", "zh-hans"],
        is_default=True,
    )
    version = PromptVersion.objects.create(
        assistant=assistant,
        number=1,
        instructions="You are the assistant of Northwind Outfitters.",
        greeting={"en": "Hello", "zh-hans": "您好"},
        starters={"en": ["Where is my parcel?"], "zh-hans": ["我的包裹在哪里？"]},
        fallback={"en": "Write to us at help@northwind.example."},
    )
    Assistant.objects.filter(pk=assistant.pk).update(live_version=version)
    assistant.refresh_from_db()
    return assistant


@pytest.fixture
def redis_server(settings: Settings) -> Iterator[RedisServer]:
    """A Redis of this test's own; the settings name it."""
    server = RedisServer()
    settings.REDIS_URL = server.url
    yield server
    server.close()
