import pytest

from conversations import rulebook


@pytest.fixture(autouse=True)
def _rules_are_new() -> None:
    """Each test has rules of its own."""
    rulebook.forget()
