"""The staff's pages about screening."""

import pytest
from django.contrib.auth.models import User
from django.test import Client

from tests.screening.cast import rule, screened_answer

pytestmark = pytest.mark.django_db

PAGES = ("", "?state=decided", "by-rule/", "rules/", "rules/new/", "rules/list/", "rules/history/")


@pytest.fixture
def mei(db: None) -> Client:
    """An admin's browser."""
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("mei"))
    return client


@pytest.fixture
def jonas(db: None) -> Client:
    """The browser of a member of the staff without further rights."""
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_user("jonas", is_staff=True))
    return client


@pytest.mark.parametrize("path", PAGES)
def test_every_page_is_there(mei: Client, path: str) -> None:
    screened_answer("Send gift cards.", [rule("gift", "gift cards")])

    assert mei.get(f"/console/moderation/{path}").status_code == 200
