import pytest
from django.contrib.auth.models import User
from django.test import Client
from pytest_django import Settings

PASSWORD = "northwind-staff-1"


@pytest.fixture(autouse=True)
def quick_passwords(settings: Settings) -> None:
    """Hash in microseconds: nobody steals these."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def mei(db: None) -> User:
    """An admin."""
    return User.objects.create_superuser(
        "mei", "mei@northwind.example", PASSWORD, first_name="Mei", last_name="Lin"
    )


@pytest.fixture
def jonas(db: None) -> User:
    """A member of the staff without any right."""
    return User.objects.create_user("jonas", password=PASSWORD, is_staff=True)


@pytest.fixture
def outsider(db: None) -> User:
    """Somebody with an account who is no staff."""
    return User.objects.create_user("outsider", password=PASSWORD)


@pytest.fixture
def visitor(db: None) -> Client:
    """A browser in which nobody has signed in."""
    return Client(headers={"host": "localhost"})


@pytest.fixture
def staff(mei: User) -> Client:
    """Mei's browser."""
    client = Client(headers={"host": "localhost"})
    client.force_login(mei)
    return client
