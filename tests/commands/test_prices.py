"""`manage.py prices`, and what the terminal's questions leave in the ledger."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from conversations import pricelist, prices
from conversations.models import NANOS, Completion, ExchangeRate, LedgerEntry, Price
from conversations.routes import Routes
from tests.commands.conftest import CONFIG, Terminal

SERVICES = """\
providers:
  mine: {kind: openai, api_key: "${NOT_SET}"}
  proxy: {kind: openai, base_url: "http://127.0.0.1:9/v1"}
  qwen: {preset: qwen, api_key: "${NOT_SET}"}
models:
  quick: {provider: mine, model: gpt-5-mini}
  house: {provider: proxy, model: gpt-5-mini}
  plus: {provider: qwen, model: qwen-plus-latest}
routes:
  default: [quick, house, plus, local]
"""


def test_the_table_is_filled_from_the_lists_once(terminal: Terminal, configured: Any) -> None:
    configured(SERVICES)

    terminal("prices", "fill")
    printed = terminal("prices", "--json")
    terminal("prices", "fill")

    said = {(each["provider"], each["model"]): each["price"] for each in printed.json}
    assert said["mine", "gpt-5-mini"]["source"] == "genai-prices"
    assert (said["mine", "gpt-5-mini"]["currency"], said["mine", "gpt-5-mini"]["input_nanos"] > 0) == (
        "USD",
        True,
    )
    assert said["proxy", "gpt-5-mini"] is None  # the same name elsewhere may cost anything
    assert (said["qwen", "qwen-plus-latest"]["currency"], said["qwen", "qwen-plus-latest"]["source"]) == (
        "CNY",
        "own",
    )
    assert "check it" in said["qwen", "qwen-plus-latest"]["note"]
    assert (said["local", "local"]["input_nanos"], said["local", "local"]["output_nanos"]) == (0, 0)
    assert Price.objects.count() == 4
    assert ExchangeRate.objects.count() == 1


def test_config_yaml_fills_the_table_only_the_first_time(terminal: Terminal, configured: Any) -> None:
    terminal("prices", "fill")
    configured(CONFIG.replace("input: 1.5", "input: 9.5"))

    terminal("prices", "fill")

    (row,) = prices.history("said", "echo-1")
    assert (row.input_nanos, row.currency, row.source) == (1_500_000_000, "EUR", "config")


@pytest.mark.parametrize("own", pricelist.OWN, ids=lambda own: f"{own.host} {own.models[0]}")
def test_our_own_rows_are_within_bounds_and_cached_input_is_no_dearer(own: Any) -> None:
    read, written = float(own.input), float(own.output)

    assert 0 <= read <= written <= 100
    assert own.cached is None or float(own.cached) <= read


def test_a_question_is_held_and_settled_as_a_test(terminal: Terminal) -> None:
    terminal("ask", "Where is my parcel?")

    hold, settled = LedgerEntry.objects.order_by("number")
    assert (hold.kind, hold.purpose, hold.assistant, hold.segment) == ("hold", "test", None, "")
    assert (settled.kind, settled.counts, settled.purpose) == ("settle", "exact", "test")
    assert (settled.amount_nanos, settled.currency) == (8000, "EUR")
    assert settled.completion == Completion.objects.get()


def test_an_answer_that_broke_off_costs_what_is_known_of_it(terminal: Terminal) -> None:
    terminal("ask", "script: pieces=5 fault=cut at=2")

    settled = LedgerEntry.objects.get(number=1)
    assert (settled.kind, settled.counts, settled.reason) == ("settle", "estimated", "incomplete_stream")
    assert settled.input_tokens
    assert settled.output_tokens
    assert settled.amount_nanos


def test_a_service_that_is_not_there_costs_nothing(terminal: Terminal) -> None:
    terminal("ask", "Hello", "--route", "doomed")

    closed = LedgerEntry.objects.filter(number=1)
    assert [(each.kind, each.reason, each.amount_nanos) for each in closed] == [
        ("release", "unavailable", 0)
    ] * 2


def test_a_batch_is_booked_apart(terminal: Terminal, tmp_path: Path) -> None:
    asked = tmp_path / "in.jsonl"
    asked.write_bytes(b"".join(orjson.dumps({"question": f"say {each}"}) + b"\n" for each in range(5)))

    terminal("batch", asked, tmp_path / "out.jsonl")

    rows = LedgerEntry.objects.filter(purpose="batch")
    assert [rows.filter(kind=kind).count() for kind in ("hold", "settle", "release")] == [5, 5, 0]
    costs = [
        orjson.loads(line)["cost"]["nanos"] for line in (tmp_path / "out.jsonl").read_bytes().splitlines()
    ]
    assert sum(costs) == sum(row.amount_nanos or 0 for row in rows.filter(kind="settle"))


def test_every_model_of_the_shipped_config_was_looked_for(terminal: Terminal, settings: Any) -> None:
    settings.CONFIG_FILE = Path(__file__).parent.parent.parent / "config.yaml"

    terminal("prices", "fill")

    known = prices.known()
    config = Routes.config()
    unknown = [key for key, row in known.items() if row.input_nanos is None]
    assert {(row.provider, row.model) for row in config.models.values()} == set(known)
    assert {provider for provider, _ in unknown} == {"azure", "pangu", "pangu_v2"}
    assert all((row.input_nanos or 0) < 100 * NANOS for row in known.values())
