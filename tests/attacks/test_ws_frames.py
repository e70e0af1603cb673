"""Hostile frames at a real web process: it stays up, and nobody else notices.

The cases and the meaning of each `expect` are those of ws_frames.json.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.attacks.rawsocket import BINARY, RESET, TEXT, RawSocket
from tests.faults.client import Client
from tests.faults.product import Product
from tests.faults.waiting import eventually
from tests.faults.web import WebProcess

SAMPLES = json.loads((Path(__file__).parent / "ws_frames.json").read_bytes())
NAMES = {
    "$SEND": "message.send",
    "$TYPE": "type",
    "$TEXT": "text",
    "$CONV": "conversation_id",
    "$LOCAL": "id",
}
MAY_GROW_BYTES = 20 * 1024 * 1024
LIMITS = {"LIMIT_FRAMES_PER_10S": "100", "LIMIT_TURNS_PER_MINUTE_VISITOR": "20", "LOG_LEVEL": "INFO"}
CLOSED = (1003, 1007, 1008, 1009, 4400, 4401, 4429, RESET)


@dataclass(slots=True)
class Attack:
    """One case, and what the product was like before it."""

    case: dict[str, Any]
    product: Product
    socket: RawSocket
    visitor_id: str
    conversation_id: str
    foreign_conversation_id: str
    stored: int = 0
    completions: int = 0
    heard: int = 0

    def text(self, number: int = 0) -> str:
        """The case's text, with our names in it."""
        frame = self.case["frame"]
        made = frame.get("gen")
        text: str = made["prefix"] + made["unit"] * made["times"] + made["suffix"] if made else frame["text"]
        for name, ours in {
            **NAMES, "$CONVID": self.conversation_id, "$OTHERCONV": self.foreign_conversation_id,
            "{i}": str(number),
        }.items():  # fmt: skip
            text = text.replace(name + '"', ours + '"') if name.startswith("$") else text.replace(name, ours)
        return text

    async def strike(self) -> None:
        """Send it, and wait for all the answers there will be."""
        frame = self.case["frame"]
        self.stored, self.completions = self.count_stored(), self.count_completions()
        self.heard = len(self.socket.frames)
        match frame["op"]:
            case "text":
                await self.socket.send(TEXT, self.text().encode())
            case "binary":
                await self.socket.send(BINARY, bytes.fromhex(frame["hex"]))
            case "raw":
                await self.socket.write(bytes.fromhex(frame["hex"]))
            case "repeat_text":
                for number in range(frame["times"]):
                    await self.socket.send(TEXT, self.text(number).encode())
            case op:
                raise ValueError(f"No such op: {op}.")
        await self.socket.say("ping", id="done")
        await self.socket.until(
            lambda: self.socket.seen("pong", id="done") or self.socket.seen("error", id="done")
        )

    def count_stored(self) -> int:
        """How many messages of this visitor there are."""
        return self.product.count(
            "conversations_message m JOIN conversations_conversation c ON c.id = m.conversation_id"
            f" WHERE m.role = 'visitor' AND c.visitor_id = '{self.visitor_id}'"
        )

    def count_completions(self) -> int:
        """How often a model was asked for this visitor."""
        return self.product.count(
            "conversations_completion p JOIN conversations_turn t ON t.id = p.turn_id"
            f" WHERE t.visitor_id = '{self.visitor_id}'"
        )

    @property
    def errors(self) -> list[dict[str, Any]]:
        return [each for each in self.socket.frames[self.heard :] if each["type"] == "error"]

    def last_stored(self) -> tuple[Any, ...]:
        rows = self.product.database.rows(
            "SELECT m.text, m.role, m.status FROM conversations_message m"
            " JOIN conversations_conversation c ON c.id = m.conversation_id"
            f" WHERE m.role = 'visitor' AND c.visitor_id = '{self.visitor_id}' ORDER BY m.position DESC"
        )
        return rows[0]


def reject(attack: Attack) -> None:
    assert attack.errors or attack.socket.close_code in CLOSED
    assert (attack.count_stored(), attack.count_completions()) == (attack.stored, attack.completions)


def accept_clean(attack: Attack) -> None:
    if attack.count_stored() == attack.stored:
        reject(attack)
        return
    text = attack.last_stored()[0]
    assert "\0" not in text
    text.encode()  # no halves of characters


def ignore_extra_or_reject(attack: Attack) -> None:
    assert attack.last_stored() == ("hi", "visitor", "final")


def exactly_once(attack: Attack) -> None:
    saved = attack.socket.seen("message.saved", id="dup")
    assert len(saved) == attack.case["frame"]["times"]
    assert all(each == saved[0] for each in saved)
    assert attack.count_stored() == attack.stored + 1
    assert attack.count_completions() == attack.completions + 1


def rate_limited(attack: Attack) -> None:
    assert any(each["code"] == "rate_limited" and each["retry_after_s"] >= 1 for each in attack.errors)
    assert attack.count_stored() - attack.stored <= int(LIMITS["LIMIT_FRAMES_PER_10S"])
    assert attack.count_completions() <= int(LIMITS["LIMIT_TURNS_PER_MINUTE_VISITOR"])


def closed(*codes: int) -> Callable[[Attack], None]:
    def check(attack: Attack) -> None:
        assert attack.socket.close_code in (*codes, RESET)
        assert attack.count_stored() == attack.stored

    return check


def reject_or_close_1003(attack: Attack) -> None:
    reject(attack)


EXPECTED: dict[str, Callable[[Attack], None]] = {
    "reject": reject,
    "reject_or_close_1003": reject_or_close_1003,
    "accept_clean": accept_clean,
    "ignore_extra_or_reject": ignore_extra_or_reject,
    "exactly_once": exactly_once,
    "rate_limited": rate_limited,
    "close_1002": closed(1002),
    "close_1007": closed(1007),
    "close_1009": closed(1009),
}


async def _visitor(port: int) -> tuple[RawSocket, str, str]:
    """Come as a new visitor and ask a first question; return also the visitor's and conversation's id."""
    socket = await RawSocket(port).connect()
    await socket.say("hello")
    await socket.until(lambda: socket.seen("ready"))
    await _good_message(socket, "before")
    conversation_id = socket.seen("message.saved")[0]["conversation"]["id"]
    return socket, socket.seen("ready")[0]["visitor"]["id"], conversation_id


async def _good_message(socket: RawSocket, text: str) -> None:
    """Send a message and wait for the answer to it, as long as we are told to wait."""
    while not socket.seen("message.saved", id=text):
        known = len(socket.seen("error", id=text))
        await socket.say("message.send", id=text, text=text)
        await socket.until(
            lambda known=known: (
                socket.seen("message.saved", id=text)  # type: ignore[misc]
                or len(socket.seen("error", id=text)) > known
            )
        )
        assert socket.is_open
        for error in socket.seen("error", id=text)[known:]:
            await asyncio.sleep(error["retry_after_s"])
    await socket.until(
        lambda: any(each["message"]["text"].endswith(text) for each in socket.seen("turn.finished"))
    )
    assert socket.is_open


async def _run_in_conversation(product: Product, web: WebProcess, case: dict[str, Any], other: str) -> None:
    socket, visitor_id, conversation_id = await _visitor(web.address.port)
    try:
        attack = Attack(case, product, socket, visitor_id, conversation_id, other)
        await attack.strike()
        EXPECTED[case["expect"]](attack)
        if socket.is_open:
            await _good_message(socket, "afterwards")
    finally:
        await socket.leave()


async def _run_from_foreign_page(product: Product, web: WebProcess, case: dict[str, Any], other: str) -> None:
    socket = await RawSocket(web.address.port, origin="https://elsewhere.example").connect()
    await socket.leave()

    assert socket.status == 403


async def _run_without_its_visitor(
    product: Product, web: WebProcess, case: dict[str, Any], other: str
) -> None:
    """There is no logging out: a token that is not valid (any more) is what comes closest."""
    socket, visitor_id, conversation_id = await _visitor(web.address.port)
    await socket.leave()
    stranger = await RawSocket(web.address.port).connect()
    try:
        attack = Attack(case, product, stranger, visitor_id, conversation_id, other)
        attack.stored = attack.count_stored()
        await stranger.say("hello", token=f"{visitor_id}:not-ours")
        await stranger.send(TEXT, attack.text().encode())
        await stranger.until(lambda: False, within_s=5)

        assert stranger.close_code == 4401
        assert attack.count_stored() == attack.stored
    finally:
        await stranger.leave()


RUN: dict[str, Callable[[Product, WebProcess, dict[str, Any], str], Awaitable[None]]] = {
    "open": _run_in_conversation,
    "bad_origin": _run_from_foreign_page,
    "after_logout": _run_without_its_visitor,
}


async def _is_fresh_connection_answered(web: WebProcess) -> None:
    async with asyncio.timeout(2):
        socket = await RawSocket(web.address.port).connect()
        await socket.say("hello")
        await socket.until(lambda: socket.seen("ready"))
    await socket.leave()


class Bystander:
    """Another visitor, who reads a long answer and measures how long a ping takes meanwhile."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self.pings_ms: list[float] = []

    async def watch(self) -> None:
        """Ping until cancelled."""
        while True:
            known, began = len(self._client.seen("pong")), time.monotonic()
            await self._client.say("ping")
            await self._client.until(lambda known=known: len(self._client.seen("pong")) > known)  # type: ignore[misc]
            self.pings_ms.append((time.monotonic() - began) * 1000)
            await asyncio.sleep(0.02)

    def p95_ms(self, since: int) -> float:
        """Of the pings since that one."""
        pings = sorted(self.pings_ms[since:])
        return pings[int(len(pings) * 0.95)] if pings else 0.0


async def test_every_hostile_frame_meets_its_answer(product: Product) -> None:
    web = product.web(None, **LIMITS)
    reader = await product.client(web.address).open()
    turn_id = await reader.asked("script: pieces=20000 delay_ms=20 seed=3")
    bystander = Bystander(await product.client(web.address).open())
    watching = asyncio.create_task(bystander.watch())
    berta, _, foreign = await _visitor(web.address.port)
    await eventually(lambda: len(bystander.pings_ms) > 40)
    quiet_ms, before_bytes = bystander.p95_ms(0), web.resident_bytes
    failures: dict[str, str] = {}

    since = len(bystander.pings_ms)
    for case in SAMPLES["cases"]:
        try:
            await RUN[case["state"]](product, web, case, foreign)
            await _is_fresh_connection_answered(web)
        except (AssertionError, TimeoutError, ValueError) as error:
            failures[case["id"]] = f"{case['frame']}: {type(error).__name__} {error}"[:400]

    assert not failures
    assert not web.has_ended
    await eventually(lambda: web.resident_bytes - before_bytes < MAY_GROW_BYTES, within_s=30)
    loud_ms = bystander.p95_ms(since)
    watching.cancel()
    await berta.leave()
    print(f"ping p95 {quiet_ms:.1f} ms before, {loud_ms:.1f} ms during the attacks")
    assert loud_ms < max(2 * quiet_ms, 100)
    await reader.say("turn.stop", turn_id=turn_id)
    answer = await reader.ended(turn_id)
    assert product.stored(turn_id) == ("stopped", answer["text"])
    assert (reader.shown.contradictions, reader.closes) == ([], [])
    _is_log_calm(product, web)


def _is_log_calm(product: Product, web: WebProcess) -> None:
    """No line is a trouble, none repeats what was sent, and there are no more than frames."""
    lines = [json.loads(line) for line in web.log.read_bytes().decode().splitlines()]
    assert {line["level"] for line in lines} <= {"info"}, [line for line in lines if line["level"] != "info"]
    assert len(lines) < 4 * len(SAMPLES["cases"])
    assert not any("beef" in str(line) or "cod.scr" in str(line) for line in lines)
    product.expected |= {line["event"] for line in lines}
