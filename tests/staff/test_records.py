"""The records in the admin: to be looked at, by few queries, whatever there is."""

import re
from collections.abc import Callable
from datetime import timedelta

import pytest
from django.contrib import admin
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from conversations.admin import EXCERPT_CHARS, MOST_PAGES, ReadOnlyAdmin, UncountedPaginator
from conversations.models import (
    Completion,
    Conversation,
    HistoryWindow,
    Message,
    OutboxEntry,
    Turn,
)
from conversations.models.ids import first_id_at, new_id
from tests.frame.rows import ended_turn

LISTS = [
    "conversation",
    "message",
    "turn",
    "completion",
    "historywindow",
    "ledgerentry",
    "outboxentry",
    "promptversion",
    "assistant",
]
BASE = "/admin/conversations"


def windowed_turn() -> Turn:
    """Return an ended turn whose attempt has its window."""
    turn = ended_turn(at=timezone.now())
    for completion in turn.completions.all():
        HistoryWindow.objects.create(
            completion=completion,
            system="Be kind.",
            sent=[1],
            input_tokens=10,
            limit_tokens=100,
            salt="s",
            hmac="h",
        )
    return turn


def queries(ask: Callable[[], object]) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        ask()
    return [query["sql"] for query in captured.captured_queries]


def rows_shown(page: bytes) -> int:
    found = re.search(r'<table id="result_list">.*?<tbody>(.*?)</tbody>', page.decode(), re.DOTALL)
    return found[1].count("<tr>") if found else 0


@pytest.mark.parametrize("name", LISTS)
def test_a_list_costs_the_same_for_one_row_and_for_thirty(staff: Client, name: str) -> None:
    windowed_turn()
    staff.get(f"{BASE}/{name}/")
    for_one = queries(lambda: staff.get(f"{BASE}/{name}/"))
    for _ in range(30):
        windowed_turn()
    for_many = queries(lambda: staff.get(f"{BASE}/{name}/"))

    assert len(for_many) == len(for_one) <= 6


@pytest.mark.parametrize("name", LISTS)
def test_no_list_counts_a_whole_table_or_sorts_by_what_has_no_index(staff: Client, name: str) -> None:
    windowed_turn()

    asked = queries(lambda: staff.get(f"{BASE}/{name}/"))

    counts = [sql for sql in asked if "COUNT(" in sql]
    assert len(counts) == 1
    assert f"LIMIT {50 * MOST_PAGES}" in counts[0]
    assert not any("DISTINCT" in sql for sql in asked)
    (listed,) = [sql for sql in asked if "ORDER BY" in sql and f'FROM "conversations_{name}"' in sql]
    column = "completion_id" if name == "historywindow" else "id"
    assert listed.split("ORDER BY")[1].split("LIMIT")[0].strip() == f'"conversations_{name}"."{column}" DESC'


@pytest.mark.parametrize(
    ("name", "pk"),
    [
        ("conversation", lambda turn: turn.conversation_id),
        ("message", lambda turn: turn.message_id),
        ("turn", lambda turn: turn.pk),
        ("completion", lambda turn: turn.completions.get().pk),
        ("historywindow", lambda turn: turn.completions.get().pk),
    ],
)
def test_a_record_is_shown_whole_and_cannot_be_changed(
    staff: Client, name: str, pk: Callable[[Turn], str]
) -> None:
    turn = windowed_turn()
    address = f"{BASE}/{name}/{pk(turn)}/change/"

    asked = queries(lambda: staff.get(address))
    page = staff.get(address).content.decode()

    assert pk(turn) in page
    assert 'type="submit" value="Save"' not in page
    assert len(asked) <= 12
    assert staff.post(address, {"status": "failed"}).status_code == 403
    assert staff.post(f"{BASE}/{name}/{pk(turn)}/delete/", {"post": "yes"}).status_code == 403
    assert staff.get(f"{BASE}/{name}/add/").status_code == 403


def test_every_table_of_ours_is_read_only() -> None:
    ours = [
        (model, options)
        for model, options in admin.site._registry.items()
        if model._meta.app_label == "conversations"
    ]

    assert {Conversation, Message, Turn, HistoryWindow, Completion} <= {model for model, _options in ours}
    assert all(isinstance(options, ReadOnlyAdmin) for _model, options in ours)


def test_a_long_text_stays_in_the_database_but_for_its_beginning(staff: Client) -> None:
    turn = windowed_turn()
    Message.objects.filter(pk=turn.message_id).update(text="long " * 10_000)

    page = staff.get(f"{BASE}/message/").content

    assert len(page) < 40_000
    assert ("long " * (EXCERPT_CHARS // 5)).strip() + "…" in page.decode()


def test_visitors_text_is_shown_as_text(staff: Client) -> None:
    turn = windowed_turn()
    Message.objects.filter(pk=turn.message_id).update(text="<script>alert(1)</script>")

    for address in (f"{BASE}/message/", f"{BASE}/message/{turn.message_id}/change/"):
        page = staff.get(address).content.decode()
        assert "&lt;script&gt;alert(1)" in page
        assert "<script>alert" not in page


def test_lists_show_the_last_days_unless_asked_for_more(staff: Client) -> None:
    old = windowed_turn()
    old_id = first_id_at(timezone.now() - timedelta(days=20))
    Completion.objects.filter(turn=old).update(turn=None)
    Message.objects.filter(turn=old).update(turn=None)
    Turn.objects.filter(pk=old.pk).update(id=old_id)
    recent = windowed_turn()

    def shown(query: str) -> int:
        return rows_shown(staff.get(f"{BASE}/turn/?{query}").content)

    assert shown("") == 1
    assert shown("days=1") == 1
    assert shown("days=30") == 2
    assert shown("days=all") == 2
    assert shown(f"q={old_id}") == 1
    assert shown(f"q={recent.conversation_id}") == 1
    assert shown(f"conversation__id__exact={old.conversation_id}") == 1
    assert shown("q=unknown") == 0
    assert shown("days=nonsense") == 1


@pytest.mark.parametrize(("query", "rows"), [("", 2), ("done=no", 1), ("done=yes", 1)])
def test_tasks_that_wait_can_be_listed(staff: Client, query: str, rows: int) -> None:
    OutboxEntry.objects.create(task="log_turn", key="t1")
    OutboxEntry.objects.create(task="log_turn", key="t2", done_at=timezone.now())

    assert rows_shown(staff.get(f"{BASE}/outboxentry/?{query}").content) == rows


@pytest.mark.django_db
def test_paging_ends_where_counting_does() -> None:
    for _ in range(5):
        ended_turn()

    assert UncountedPaginator(Turn.objects.order_by("-pk"), 2).num_pages == 3
    asked = queries(lambda: UncountedPaginator(Turn.objects.order_by("-pk"), 1).count)
    assert f"LIMIT {MOST_PAGES}" in asked[0]


def test_an_id_tells_when_it_was_made() -> None:
    before, made, after = timezone.now(), new_id(), timezone.now() + timedelta(milliseconds=2)

    assert first_id_at(before) <= made < first_id_at(after)


def test_every_list_is_tried_here() -> None:
    ours = {
        model._meta.model_name for model in admin.site._registry if model._meta.app_label == "conversations"
    }

    assert ours == set(LISTS)
