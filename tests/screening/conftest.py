import pytest
from django.contrib.auth.models import User
from django.test import Client

from conversations import rulebook


@pytest.fixture(autouse=True)
def _rules_are_new() -> None:
    """Each test has rules of its own."""
    rulebook.forget()


@pytest.fixture
def mei(db: None) -> Client:
    """An admin's browser."""
    return _signed_in(User.objects.create_superuser("mei"))


@pytest.fixture
def jonas(db: None) -> Client:
    """The browser of a member of the staff without further rights."""
    return _signed_in(User.objects.create_user("jonas", is_staff=True))


def _signed_in(user: User) -> Client:
    client = Client(headers={"host": "localhost"})
    client.force_login(user)
    return client
