"""The outbox: what must happen after a commit, and the thread that asks for it at once.

An entry is written in the transaction of the fact it follows from. On commit it is offered to the
publisher, which may fail: then the sweep sends it. The task marks it as done in the transaction of
its effect, so that the effect happens once.
"""

import threading
from collections import defaultdict, deque
from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import F, Q
from django.utils import timezone

from conversations.models import OutboxEntry, statements

log = structlog.get_logger(__name__)

# Sends one task for some keys; raises when it cannot.
Send = Callable[[str, list[str]], None]

GATHER_S = 0.25  # one Celery message costs 0.4 ms of CPU, as much as a fifth of a turn: they share it
KEYS_PER_MESSAGE = 50  # a task's transaction stays short, as SQLite has one writer
MAX_OFFERS = 10_000

SWEEP_BATCH = 500
RESEND_AFTER = timedelta(seconds=60)
QUICK_ATTEMPTS = 3  # then it is no accident, and we try once an hour
RESEND_RARELY = timedelta(hours=1)
KEEP_DONE = timedelta(days=1)

_ADD = "INSERT INTO conversations_outboxentry (task, key, created_at, sent_at, attempts) VALUES "


class Publisher:
    """Sends what was offered, from a thread of its own: nobody ever waits for the broker."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._offers: deque[tuple[str, str]] = deque(maxlen=MAX_OFFERS)
        self._offered = threading.Event()
        self._closing = threading.Event()
        self._is_away = False
        self._thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        self._thread.start()

    def offer(self, tasks: Sequence[str], key: str) -> None:
        """Have these tasks sent soon; returns at once and never raises."""
        self._offers.extend((task, key) for task in tasks)
        self._offered.set()

    def close(self, timeout_s: float = 2.0) -> None:
        """Send what is left, and stop."""
        self._closing.set()
        self._offered.set()
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._offered.wait()
            self._closing.wait(GATHER_S)
            self._offered.clear()
            self._send_offers()

    def _send_offers(self) -> None:
        keys: defaultdict[str, list[str]] = defaultdict(list)
        while self._offers:
            task, key = self._offers.popleft()
            keys[task].append(key)
        try:
            for task, all_keys in keys.items():
                for start in range(0, len(all_keys), KEYS_PER_MESSAGE):
                    self._send(task, all_keys[start : start + KEYS_PER_MESSAGE])
        except Exception as error:  # whatever a broker's driver raises; the sweep sends them later
            if not self._is_away:
                log.warning("tasks not sent", error=type(error).__name__, keys=sum(map(len, keys.values())))
            self._is_away = True
        else:
            if self._is_away and keys:
                log.info("tasks sent again")
                self._is_away = False


_publisher: Publisher | None = None


def start_publishing(send: Send) -> None:
    """Send entries when they are committed, from now on, in this process. Without, the sweep does."""
    global _publisher
    _publisher = Publisher(send)


def stop_publishing() -> None:
    """Send what was offered and stop."""
    global _publisher
    if _publisher is not None:
        _publisher.close()
        _publisher = None


def add(tasks: Sequence[str], key: str) -> None:
    """Note, in the caller's transaction, that each of `tasks` must run once for `key`."""
    now = statements.moment(timezone.now())
    rows = ", ".join(["(%s, %s, %s, %s, 0)"] * len(tasks))
    statements.execute(_ADD + rows, [value for task in tasks for value in (task, key, now, now)])
    if _publisher is not None:
        publisher = _publisher
        transaction.on_commit(lambda: publisher.offer(tasks, key))


def claim(task: str, keys: Sequence[str]) -> list[str]:
    """Return those of `keys` for which `task` was not done yet, and mark them as done.

    Call it in the transaction of the effect: the rows stay locked until that has happened too.
    """
    rows = OutboxEntry.objects.filter(task=task, key__in=keys, done_at__isnull=True)
    open_keys = dict(rows.select_for_update(skip_locked=True).values_list("pk", "key"))
    OutboxEntry.objects.filter(pk__in=open_keys).update(done_at=timezone.now())
    return list(open_keys.values())


def undone(task: str, keys: Sequence[str]) -> list[str]:
    """Return those of `keys` for which `task` was not done yet, for effects that need no transaction."""
    rows = OutboxEntry.objects.filter(task=task, key__in=keys, done_at__isnull=True)
    return list(rows.order_by("pk").values_list("key", flat=True))


def overdue() -> list[tuple[str, list[str]]]:
    """Take up to SWEEP_BATCH entries that should have been done by now, as (task, keys) to send."""
    now = timezone.now()
    is_late = Q(attempts__lt=QUICK_ATTEMPTS, sent_at__lt=now - RESEND_AFTER) | Q(
        sent_at__lt=now - RESEND_RARELY
    )
    with transaction.atomic():
        rows = OutboxEntry.objects.filter(is_late, done_at__isnull=True).order_by("created_at")
        found = list(rows.select_for_update(skip_locked=True)[:SWEEP_BATCH])
        OutboxEntry.objects.filter(pk__in=[row.pk for row in found]).update(
            sent_at=now, attempts=F("attempts") + 1
        )
    keys: defaultdict[str, list[str]] = defaultdict(list)
    for row in found:
        keys[row.task].append(row.key)
    return [
        (task, all_keys[start : start + KEYS_PER_MESSAGE])
        for task, all_keys in keys.items()
        for start in range(0, len(all_keys), KEYS_PER_MESSAGE)
    ]


def forget_done() -> int:
    """Delete up to SWEEP_BATCH entries that were done long ago; return how many."""
    old = OutboxEntry.objects.filter(done_at__lt=timezone.now() - KEEP_DONE).order_by("pk")
    pks = list(old.values_list("pk", flat=True)[:SWEEP_BATCH])
    OutboxEntry.objects.filter(pk__in=pks).delete()
    return len(pks)
