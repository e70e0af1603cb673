"""The outbox: sent on commit, swept if it never ran, done once; and a broker that is away costs nothing."""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from conversations import outbox
from conversations.models import OutboxEntry


class Broker:
    """Notes what was sent; `is_away` makes sending fail, `hangs` makes it wait."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, list[str]]] = []
        self.is_away = False
        self.hangs = threading.Event()
        self.hangs.set()

    def send(self, task: str, keys: list[str]) -> None:
        self.hangs.wait(10)
        if self.is_away:
            raise ConnectionError("no broker")
        self.sent.append((task, keys))

    def sent_keys(self) -> list[str]:
        return [key for _task, keys in self.sent for key in keys]


@pytest.fixture
def broker() -> Iterator[Broker]:
    broker = Broker()
    outbox.start_publishing(broker.send)
    yield broker
    broker.hangs.set()
    outbox.stop_publishing()


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 5
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.mark.django_db(transaction=True)
def test_an_entry_is_sent_after_the_commit(broker: Broker) -> None:
    with transaction.atomic():
        outbox.add(["log_turn", "bill_turn"], "t1")
        time.sleep(0.01)
        assert broker.sent == []

    wait_until(lambda: len(broker.sent) == 2)
    assert sorted(broker.sent) == [("bill_turn", ["t1"]), ("log_turn", ["t1"])]
    assert OutboxEntry.objects.filter(done_at__isnull=True).count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_rolled_back_entry_is_neither_kept_nor_sent(broker: Broker) -> None:
    def fail() -> None:
        with transaction.atomic():
            outbox.add(["log_turn"], "t1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    outbox.add(["log_turn"], "t2")

    wait_until(lambda: broker.sent_keys() == ["t2"])
    assert list(OutboxEntry.objects.values_list("key", flat=True)) == ["t2"]


@pytest.mark.django_db(transaction=True)
def test_many_turns_share_a_message(broker: Broker) -> None:
    keys = [f"t{number}" for number in range(120)]
    with transaction.atomic():
        for key in keys:
            outbox.add(["log_turn"], key)

    wait_until(lambda: len(broker.sent_keys()) == 120)
    assert broker.sent_keys() == keys
    assert len(broker.sent) == 3


@pytest.mark.django_db(transaction=True)
def test_a_broker_that_hangs_or_is_away_holds_nobody_up(broker: Broker) -> None:
    broker.hangs.clear()
    began = time.monotonic()
    for number in range(20):
        outbox.add(["log_turn"], f"t{number}")
    took_s = time.monotonic() - began
    broker.is_away = True
    broker.hangs.set()

    assert took_s < 2
    assert OutboxEntry.objects.count() == 20
    broker.is_away = False
    outbox.add(["log_turn"], "after")
    wait_until(lambda: "after" in broker.sent_keys())


@pytest.mark.django_db(transaction=True)
def test_closing_sends_what_is_left(broker: Broker) -> None:
    outbox.add(["log_turn"], "t1")

    outbox.stop_publishing()

    assert broker.sent_keys() == ["t1"]


@pytest.mark.django_db
def test_a_key_is_claimed_once() -> None:
    outbox.add(["log_turn", "bill_turn"], "t1")
    outbox.add(["log_turn"], "t2")

    assert sorted(outbox.claim("log_turn", ["t1", "t2", "unknown"])) == ["t1", "t2"]
    assert outbox.claim("log_turn", ["t1", "t2"]) == []
    assert outbox.claim("bill_turn", ["t1"]) == ["t1"]


def grow_older(by: timedelta) -> None:
    OutboxEntry.objects.update(sent_at=F("sent_at") - by, created_at=F("created_at") - by)


@pytest.mark.django_db
def test_what_never_ran_is_sent_again_in_due_time() -> None:
    outbox.add(["log_turn"], "t1")
    outbox.add(["log_turn"], "done")
    outbox.claim("log_turn", ["done"])
    assert outbox.overdue() == []

    grow_older(outbox.RESEND_AFTER)

    assert outbox.overdue() == [("log_turn", ["t1"])]
    assert outbox.overdue() == []


@pytest.mark.django_db
def test_what_keeps_failing_is_tried_ever_more_rarely_but_for_ever() -> None:
    outbox.add(["log_turn"], "t1")
    for _attempt in range(outbox.QUICK_ATTEMPTS):
        grow_older(outbox.RESEND_AFTER)
        assert outbox.overdue()

    grow_older(outbox.RESEND_AFTER)
    assert outbox.overdue() == []

    grow_older(outbox.RESEND_RARELY)
    assert outbox.overdue() == [("log_turn", ["t1"])]


@pytest.mark.django_db
def test_a_sweep_takes_a_bounded_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SWEEP_BATCH", 60)
    for number in range(70):
        outbox.add(["log_turn"], f"t{number}")
    grow_older(outbox.RESEND_AFTER)

    assert [len(keys) for _task, keys in outbox.overdue()] == [50, 10]
    assert [len(keys) for _task, keys in outbox.overdue()] == [10]


@pytest.mark.django_db
def test_only_what_was_done_long_ago_is_forgotten() -> None:
    for key in ("old", "new", "open"):
        outbox.add(["log_turn"], key)
    outbox.claim("log_turn", ["old", "new"])
    OutboxEntry.objects.filter(key="old").update(done_at=timezone.now() - 2 * outbox.KEEP_DONE)

    assert outbox.forget_done() == 1
    assert sorted(OutboxEntry.objects.values_list("key", flat=True)) == ["new", "open"]
