"""Marks every test that touches a database, so that those run on each database and the others once."""

import pytest

DATABASE_FIXTURES = {"db", "transactional_db", "django_db_setup", "filled_database"}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "database: runs on SQLite and on PostgreSQL.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if item.get_closest_marker("django_db") or fixtures & DATABASE_FIXTURES:
            item.add_marker(pytest.mark.database)
