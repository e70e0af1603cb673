"""The database threads: writes that wait at one moment are written together, and each stands alone."""

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from django.db import IntegrityError, transaction

from chatbot import database
from conversations.models import Conversation, Visitor

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    yield
    database.close()


def _write(key: str) -> str:
    with transaction.atomic():
        Visitor.objects.create(pk=key)
    return key


def _write_and_fail(key: str) -> None:
    with transaction.atomic():
        Visitor.objects.create(pk=key)
        raise LookupError(key)


def _stored() -> set[str]:
    return set(Visitor.objects.values_list("pk", flat=True))


async def _together(*jobs: Any) -> list[Any]:
    """Begin all at one moment and wait for all."""
    return await asyncio.gather(*jobs, return_exceptions=True)


async def test_each_gets_its_own_result() -> None:
    keys = [f"v{number}" for number in range(100)]

    assert await _together(*(database.write(_write, key) for key in keys)) == keys
    assert await database.run(_stored) == set(keys)


async def test_one_that_fails_takes_only_itself_back() -> None:
    once, failed, again, last = await _together(
        database.write(_write, "same"),
        database.write(_write_and_fail, "failed"),
        database.write(_write, "same"),
        database.write(_write, "last"),
    )

    assert {type(once), type(again)} == {str, IntegrityError}
    assert isinstance(failed, LookupError)
    assert last == "last"
    assert await database.run(_stored) == {"same", "last"}


async def test_who_goes_away_leaves_the_others_in_peace() -> None:
    jobs = [asyncio.ensure_future(database.write(_write, f"v{number}")) for number in range(3)]
    await asyncio.sleep(0)

    jobs[1].cancel()

    assert [await jobs[0], await jobs[2]] == ["v0", "v2"]
    assert await database.run(_stored) == {"v0", "v1", "v2"}


def _write_without_owner(key: str) -> str:
    """What it refers to is looked for only when it is committed."""
    with transaction.atomic():
        Conversation.objects.create(pk=key, visitor_id="nobody", assistant_id=1)
    return key


async def test_what_fails_at_the_commit_takes_nobody_with_it() -> None:
    first, failed, last = await _together(
        database.write(_write, "first"),
        database.write(_write_without_owner, "failed"),
        database.write(_write, "last"),
    )

    assert (first, last) == ("first", "last")
    assert isinstance(failed, IntegrityError)
    assert await database.run(_stored) == {"first", "last"}


@pytest.mark.parametrize("carry_out", [database.run, database.write])
async def test_what_is_logged_in_a_database_thread_says_what_it_is_about(
    carry_out: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def ask(turn_id: str) -> None:
        with structlog.contextvars.bound_contextvars(turn_id=turn_id):
            await carry_out(structlog.get_logger("chatbot.test").warning, f"about {turn_id}")

    await _together(*(ask(f"t{number}") for number in range(5)))

    said = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    assert {(each["event"], each["turn_id"]) for each in said} == {(f"about t{n}", f"t{n}") for n in range(5)}
