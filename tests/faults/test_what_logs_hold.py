"""What the whole product logs, at its most talkative: ids, but no text, no secret, no forged line.

Everything that is said to it, by visitors, by staff who mistype, and by a service that quotes what it
was asked, carries a mark.
"""

import asyncio
import http.client
import json
import random
import re
import signal
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson
import pytest

from tests.faults.client import Client
from tests.faults.product import LIMITS
from tests.faults.web import Address
from tests.frame.site import Served, empty_database
from tests.providers.loopback import Loopback, Reply, json_reply, loopback
from tests.scale import count

pytestmark = pytest.mark.database

MARK = "zebra"
HOSTILE = '\r\n12:00:00 info    all is well  \x1b[2K\u2028\u202e{"event": "forged"}\n'
SECRETS = {
    "SERVICE_KEY": "kx9-service-4f7Qm2",  # like no other service's, so that only care can hide it
    "SECRET_KEY": "django-secret-8Hh2-8Hh2-8Hh2-8Hh2-8Hh2-8Hh2-8Hh2",
    "METRICS_TOKEN": "metrics-3Jq8-3Jq8",
}
PASSWORD = "wrong-horse-7Tz1"
CONFIG = """\
providers:
  service: {{kind: openai, api_key: "${{SERVICE_KEY}}", base_url: "{url}/v1"}}
models:
  quick: {{provider: service, model: m-1, max_output_tokens: 500, context_tokens: 8000}}
routes:
  default: [quick]
"""
TERMINAL = re.compile(r"\d\d:\d\d:\d\d (debug|info|warning|error|critical) ")
TEXTS = count(14, 70)  # each way to fail at least once


class At(Address):
    """Where a product listens that somebody else has started."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.url = f"ws://127.0.0.1:{port}/ws/chat/"


@dataclass
class House:
    """A product, the service it asks, and one of its visitors."""

    served: Served
    service: Loopback
    form: str

    def get(self, path: str, method: str = "GET", body: str = "", **headers: str) -> int:
        """Ask for a page and return the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.served.port, timeout=30)
        with closing(connection):
            connection.request(method, path, body, headers)
            with connection.getresponse() as answer:
                answer.read()
                return answer.status

    def lines(self) -> tuple[list[str], list[str]]:
        """Return the lines of the log, and those meant for the person who started it."""
        logged: list[str] = []
        said: list[str] = []
        for line in self.served.said.split("\n"):
            is_log = line.startswith("{") if self.form == "json" else TERMINAL.match(line)
            (logged if is_log else said).append(line)
        return logged, said

    def events(self) -> list[dict[str, Any]]:
        """Return what was logged as JSON."""
        return [json.loads(line) for line in self.lines()[0]]


@pytest.fixture
def directory(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    database = empty_database(tmp_path)
    yield tmp_path, database.url
    database.drop()


@pytest.fixture(params=["json", "text"][: count(1, 2)])
async def house(request: pytest.FixtureRequest, directory: tuple[Path, str]) -> AsyncIterator[House]:
    """The whole product, telling all it ever tells."""
    folder, database_url = directory
    async with loopback() as service:
        (folder / "config.yaml").write_text(CONFIG.format(url=service.url))
        env = {
            **dict.fromkeys(LIMITS, "0"),
            "CHATBOT_CONFIG": str(folder / "config.yaml"),
            "LOG_LEVEL": "DEBUG",
            "LOG_FORMAT": request.param,
        }
        served = Served(folder / "var", database_url, **env, **SECRETS)
        try:
            await asyncio.to_thread(served.until_ready)
            yield House(served, service, request.param)
        finally:
            await asyncio.to_thread(served.close)


def streamed(*events: Mapping[str, object] | bytes) -> bytes:
    lines = [each if isinstance(each, bytes) else orjson.dumps(each) for each in events]
    return b"".join(b"data: %b\n\n" % line for line in lines)


def delta(text: str) -> dict[str, object]:
    return {"id": "c-1", "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]}


END = {"id": "c-1", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}],
       "usage": {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}}  # fmt: skip


def replies(asked: str) -> list[Reply]:
    """What a service may say that quotes what it was asked, and what it was asked with."""
    quoted = f"You said {asked} with the key {SECRETS['SERVICE_KEY']}{HOSTILE}"
    error = {"error": {"message": quoted, "type": quoted, "code": quoted, "param": quoted}}
    ids = {"x-request-id": "req-7\x1b[31m"}
    sse = {"content-type": "text/event-stream", **ids}
    return [
        json_reply(401, error, ids),
        json_reply(429, error, ids),
        json_reply(500, quoted, ids),
        json_reply(400, error, ids),
        Reply(headers=sse, pieces=[streamed(b'{"choices": [' + asked.encode("utf-8", "replace"))]),
        Reply(headers=sse, pieces=[streamed(delta(f"{MARK} "), error)]),
        Reply(headers=sse, pieces=[streamed(delta(f"{MARK} half"))], end="reset"),
        Reply(headers=sse, pieces=[streamed(delta(f"{MARK} answer"), END, b"[DONE]")]),
    ]


def texts() -> list[str]:
    chance = random.Random(7)
    pieces = [MARK, HOSTILE, "'; DROP", "%s %d {}", "</script>", "\\", "您好", "\x7f", "a" * 50]
    return [f"{MARK} {''.join(chance.choices(pieces, k=4))} {number}" for number in range(TEXTS)]


async def talk(house: House) -> Client:
    """Let a visitor and others say marked things in every way there is."""
    client = await Client(At(house.served.port)).open()
    for number, text in enumerate(texts()):
        *bad, good = replies(text)
        # Never so often that the service is left alone.
        house.service.answers(*([bad[number // 2 % len(bad)]] if number % 2 == 0 else []), good)
        turn_id = await client.asked(text)
        answer = await client.ended(turn_id)
        await client.say("feedback.send", message_id=answer["id"], rating=-1, comment=text)
        await client.say("conversations.list", query=text)
        await client.say("messages.list", before=text)
        await client.say(text, **{text: text})
        await client.say("hello", locale=text, assistant=text, token=text)
    await client.say("ping")
    await client.until(lambda: client.seen("pong"))
    stranger = await Client(At(house.served.port)).open()
    await stranger.say("message.send", id=MARK * 9, text={"not": MARK})
    await stranger.leave()
    await asyncio.to_thread(visit, house)
    return client


def visit(house: House) -> None:
    """Ask for pages with marks where no log should look, and with hostile strings where it does."""
    told = quote(HOSTILE + "x")
    assert (
        house.get(f"/?q={MARK}", Cookie=f"sessionid={MARK}", Authorization=f"Bearer {MARK}{MARK}{MARK}")
        == 200
    )
    for path in (
        f"/nowhere/{told}?q={MARK}",
        f"/chat/{told}/",
        f"/console/turns/{told}/",
        f"/accounts/login/?next=/{MARK}",
    ):
        house.get(path, **{"User-Agent": MARK, "Referer": f"http://{MARK}/", "X-Request-ID": MARK + "\t x"})
    house.get("/", Host=f"{MARK}.example")
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    house.get("/accounts/login/", "POST", f"username={MARK}&password={PASSWORD}", **form)
    house.get("/language/setlang/", "POST", f"language={MARK}")
    house.get("/metrics", Authorization=f"Bearer {SECRETS['METRICS_TOKEN']}")


def turns_are_logged(house: House) -> bool:
    return house.served.said.count("turn logged") >= TEXTS


async def test_no_line_holds_text_or_secrets_and_none_is_forged(house: House) -> None:
    client = await talk(house)
    async with asyncio.timeout(60):
        while not turns_are_logged(house):
            await asyncio.sleep(0.05)
    web = house.served.running()["web"]
    web.send_signal(signal.SIGKILL)
    await client.back()
    token = client.token
    await client.leave()
    assert await asyncio.to_thread(house.served.end, signal.SIGINT) == 0

    logged, said = house.lines()
    whole = house.served.said.replace(f"{MARK}.example", "")  # whom a forged Host names is told, in one line
    assert sum("attempt failed" in line for line in logged) >= TEXTS // 2
    found = [line for line in whole.split("\n") if MARK in line]
    assert found == []
    for secret in (*SECRETS.values(), PASSWORD, token):
        assert secret is not None
        assert secret not in whole
    assert not any("all is well" in line for line in said), said
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u202e]", whole)
    if house.form == "json":
        assert {event["event"] for event in house.events()} & {"forged"} == set()
        check_ids(house.events())


def check_ids(events: list[dict[str, Any]]) -> None:
    """Every line about a turn, a request or a call to a service says which."""
    failed = [event for event in events if event["event"] == "attempt failed"]
    logged = [event for event in events if event["event"] == "turn logged"]
    answered = [event for event in events if event["event"] == "request answered"]
    assert all(event["turn_id"] and event["conversation_id"] and event["request_id"] for event in failed)
    assert all(event["turn_id"] and event["conversation_id"] for event in logged)
    assert all(event["request_id"] for event in answered)
    assert any(event["provider_request_id"] for event in failed)
    assert any(event["provider_request_id"] for event in logged)
