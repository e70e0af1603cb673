"""The front page tells what is true, in few queries, and refreshes itself."""

import asyncio
import re
from datetime import timedelta

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from chatbot import config, presence
from chatbot.providers.health import Health
from chatbot.sharing import SharedState
from chatbot.state import State
from conversations import tasks
from conversations.models import LedgerEntry, OutboxEntry
from conversations.pages import overview
from tests.frame.rows import ended_turn
from tests.redis_server import RedisServer

CONFIG = """
providers:
  openai: {kind: openai, api_key: "a-key", base_url: "http://127.0.0.1:1/v1"}
  deepseek: {preset: deepseek, api_key: "another-key"}
models:
  quick: {provider: openai, model: gpt-5-mini}
  other: {provider: deepseek, model: deepseek-chat}
routes:
  default: [other, quick, local]
"""


@pytest.fixture(autouse=True)
def configured(settings: Settings, tmp_path_factory: pytest.TempPathFactory) -> None:
    settings.CONFIG_FILE = tmp_path_factory.mktemp("config") / "config.yaml"
    settings.CONFIG_FILE.write_text(CONFIG)
    overview._config.cache_clear()


def all_here(redis_server: RedisServer) -> None:
    async def tell() -> None:
        state = State(redis_server.url)
        await presence.tell(state, ("web", "after", "long"), "someone")
        await state.aclose()

    asyncio.run(tell())


def text_of(page: bytes) -> str:
    """Return what a reader sees, on one line."""
    without_tags = re.sub(r"<(svg|script|style).*?</\1>|<[^>]+>", " ", page.decode(), flags=re.DOTALL)
    return " ".join(without_tags.split())


def test_a_quiet_house_says_so(staff: Client, redis_server: RedisServer) -> None:
    all_here(redis_server)

    text = text_of(staff.get("/console/").content)

    assert "Hello, Mei Lin" in text
    assert "Everything is running." in text
    assert "Nothing needs you right now." in text
    assert "gpt-5-mini openai Not asked lately 0 – – 0 – 0" in text
    assert "Web processes 0 turns are running 1 running" in text
    assert "Tasks that should be done None waits" in text


def test_an_open_breaker_is_told_by_whoever_is_asked(staff: Client, redis_server: RedisServer) -> None:
    all_here(redis_server)

    async def rest() -> None:
        state = State(redis_server.url)
        known = config.load(settings.CONFIG_FILE, {})
        resting = Health(resting_since=timezone.now().timestamp(), kind="timeout")
        await SharedState(state).swap(known.health_keys()["quick"], None, resting.dump(), ttl_s=60)
        await state.aclose()

    asyncio.run(rest())

    text = text_of(staff.get("/console/").content)

    assert "gpt-5-mini openai Not answering no answer in time" in text
    assert "gpt-5-mini is not answering" in text
    assert "Its visitors are served by deepseek-chat" in text


def test_todays_turns_are_counted(staff: Client, redis_server: RedisServer) -> None:
    now = timezone.now()
    turns = [ended_turn(at=now, first_delta_ms=600) for _ in range(3)]
    tasks.log_turn([turn.pk for turn in [*turns, ended_turn(at=now, status="stopped", first_delta_ms=None)]])

    text = text_of(staff.get("/console/").content)

    assert "Conversations 4" in text
    assert "Answered 75.0 % 1 stopped" in text
    assert "First word, p50 0.6 s" in text
    assert "Tokens 480 400 read, 80 written" in text
    assert "gpt-5-mini openai Healthy 4" in text


def test_what_a_model_cost_stands_beside_it(staff: Client, redis_server: RedisServer) -> None:
    for number in range(2):
        completion = ended_turn(at=timezone.now()).completions.get()
        said = {"completion": completion, "purpose": "visitor", "counts": "exact", "route": "default"}
        about = {"provider": completion.provider, "model": completion.model, "currency": "USD"}
        LedgerEntry.objects.create(number=0, kind="hold", amount_nanos=9_000_000, **said, **about)
        LedgerEntry.objects.create(number=1, kind="settle", amount_nanos=1_500_000 + number, **said, **about)

    row = re.search(r"<tr>.*gpt-5-mini.*?</tr>", staff.get("/console/").content.decode())

    assert row is not None
    assert "0.0030 USD" in row[0]


def test_what_is_wrong_comes_first(staff: Client) -> None:
    now = timezone.now()
    failed = {"provider": "deepseek", "model": "deepseek-chat", "status": "failed", "error": "overloaded"}
    for minute in range(3):
        ended_turn(at=now - timedelta(minutes=minute), attempts=(failed, {}))
    waiting = OutboxEntry.objects.update(created_at=now - timedelta(minutes=10))

    text = text_of(staff.get("/console/").content)

    assert "3 things want a look." in text
    assert "deepseek-chat is not answering" in text
    assert "the service is overloaded. Its visitors are served by gpt-5-mini; nothing is lost." in text
    assert "Redis is away" in text
    assert f"{waiting} tasks have not run The oldest waits for 10 minutes." in text
    assert text.index("Redis is away") < text.index(f"{waiting} tasks have not run")


def test_a_broken_config_is_told_and_the_rest_still_shows(staff: Client, settings: Settings) -> None:
    settings.CONFIG_FILE.write_text("routes: {default: [nobody]}")
    overview._config.cache_clear()

    text = text_of(staff.get("/console/").content)

    assert "config.yaml cannot be used" in text
    assert "Conversations 0" in text


def test_the_page_costs_the_same_whatever_there_is(staff: Client, redis_server: RedisServer) -> None:
    ended_turn(at=timezone.now())
    with CaptureQueriesContext(connection) as for_few:
        staff.get("/console/")
    tasks.log_turn([ended_turn(at=timezone.now() - timedelta(minutes=number)).pk for number in range(30)])
    with CaptureQueriesContext(connection) as for_many:
        staff.get("/console/")

    assert len(for_many) == len(for_few) <= 8


def test_htmx_gets_the_part_that_changes(staff: Client) -> None:
    part = staff.get("/console/", headers={"hx-request": "true"}).content.decode()

    assert part.startswith("<header")
    assert "Needs attention" in part
    assert "<html" not in part


def test_htmx_is_sent_to_the_sign_in_page_when_the_session_has_ended(visitor: Client) -> None:
    answer = visitor.get("/console/", headers={"hx-request": "true"})

    assert answer.status_code == 200
    assert answer.headers["HX-Redirect"] == "/accounts/login/?next=%2Fconsole%2F"


def test_the_page_allows_htmx_no_eval_and_no_inline_style(staff: Client) -> None:
    page = staff.get("/console/").content.decode()

    assert '"allowEval": false' in page
    assert '"includeIndicatorStyles": false' in page
    assert " style=" not in page
    assert not re.search(r"<script(?![^>]*(nonce|src)=)", page)


def test_the_page_speaks_chinese(staff: Client) -> None:
    page = staff.get("/console/", headers={"accept-language": "zh-CN,zh;q=0.9"}).content

    assert '<html lang="zh-hans">' in page.decode()
    assert "需要处理" in text_of(page)
    assert "Needs attention" not in text_of(page)


def test_staff_without_rights_get_no_links_to_records(visitor: Client, jonas: User) -> None:
    OutboxEntry.objects.create(task="log_turn", key="t1", created_at=timezone.now() - timedelta(minutes=10))
    visitor.force_login(jonas)

    page = visitor.get("/console/").content.decode()

    assert "1 task has not run" in page
    assert "/admin/" not in page
