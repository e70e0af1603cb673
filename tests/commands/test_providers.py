"""`manage.py providers`: what can be used, why not, and how it does when asked."""

import asyncio
from typing import Any

from chatbot.providers.breaker import key_of
from chatbot.providers.health import Health
from chatbot.sharing import SharedState
from chatbot.state import State
from conversations.models import Completion
from conversations.routes import Routes
from tests.commands.conftest import CONFIG, Terminal
from tests.redis_server import RedisServer


def test_it_says_what_can_be_used_and_why_not(terminal: Terminal) -> None:
    printed = terminal("providers")

    assert printed.exit == 0
    lines = [line.split(maxsplit=3) for line in printed.out.splitlines() if line]
    assert ["said", "scripted", "usable"] in lines
    assert ["none", "openai", "`api_key`", "is empty"] in lines
    assert ["mute", "none", "deepseek-chat", "`api_key` is empty"] in lines
    assert ["local", "local", "local", "it answers only where nothing else is configured"] in lines
    assert ["dead", "none", "of", "its models can be used  (mute)"] in lines
    assert "mixed    usable" in printed.out
    assert "parrot 3 | lost 1 → (mute) → local" in printed.out
    assert not Completion.objects.exists()
    assert "sk-secret" not in printed.out


def test_as_json_it_says_the_same(terminal: Terminal) -> None:
    said = terminal("providers", "--json").json

    assert {each["name"]: each["usable"] for each in said["providers"]} == {
        "said": True, "gone": True, "none": False, "local": False,
    }  # fmt: skip
    models = {each["name"]: each for each in said["models"]}
    assert models["parrot"] == {
        "name": "parrot", "provider": "said", "model": "echo-1", "usable": True, "reason": None,
        "breaker": "closed", "probe": None,
    }  # fmt: skip
    assert models["mute"]["reason"] == "`api_key` is empty"
    routes = {each["name"]: each for each in said["routes"]}
    assert routes["dead"] == {
        "name": "dead",
        "usable": False,
        "reason": "none of its models can be used",
        "steps": [[{"model": "mute", "weight": 1.0, "usable": False}]],
    }
    assert routes["mixed"]["usable"]


def test_a_probe_asks_each_usable_model_and_fails_with_one_of_them(terminal: Terminal) -> None:
    printed = terminal("providers", "--probe", "--json")

    assert printed.exit == 1
    probes = {each["name"]: each["probe"] for each in printed.json["models"]}
    assert probes["mute"] is None
    assert probes["local"] is None
    assert probes["parrot"]["complete"]
    assert probes["parrot"]["first_delta_ms"] is not None
    assert probes["parrot"]["usage"]["input_tokens"] == 5
    assert probes["parrot"]["cost"] == {"nanos": 9500, "currency": "EUR", "kind": "exact"}
    assert probes["lost"]["error"]["kind"] == "unavailable"
    booked = {(row.turn, row.route, row.status) for row in Completion.objects.all()}
    assert booked == {(None, "model:parrot", "completed"), (None, "model:lost", "failed")}


def test_a_probe_that_cost_nothing_says_so_without_a_currency(terminal: Terminal) -> None:
    [line] = [each for each in terminal("providers", "--probe").out.splitlines() if "refused" in each]

    assert line.split()[:8] == [
        "lost",
        "–",
        *line.split()[2:4],
        "unknown",
        "unknown",
        "0.000000",
        "unavailable:",
    ]
    assert "None" not in line


def test_a_probe_that_all_pass_exits_with_0_and_is_a_table(terminal: Terminal, configured: Any) -> None:
    configured(CONFIG.replace("api_key: sk-secret", 'api_key: "${NOT_SET}"'))
    printed = terminal("providers", "--probe")

    assert printed.exit == 0
    [line] = [line for line in printed.out.splitlines() if line.startswith("parrot  ") and " ms " in line]
    assert line.split()[-4:] == ["5", "1", "0.000010", "EUR"]


def test_a_model_without_prices_costs_an_unknown_sum(terminal: Terminal, configured: Any) -> None:
    configured(CONFIG.replace(", prices: {input: 1.5, output: 2, currency: EUR}", ""))

    probes = {
        each["name"]: each["probe"] for each in terminal("providers", "--probe", "--json").json["models"]
    }

    assert probes["parrot"]["cost"] == {"nanos": None, "currency": None, "kind": "unknown"}


def test_an_open_breaker_is_told_and_a_probe_goes_past_it(
    terminal: Terminal, redis_server: RedisServer
) -> None:
    async def sends_to_rest() -> None:
        state = State(redis_server.url)
        routes = Routes.load(state)
        target = routes.target("parrot")
        assert target is not None
        resting = Health(resting_since=1.0, probe_at=9e9, rest_s=5.0, kind="server")
        await SharedState(state).swap(key_of(target), None, resting.dump(), ttl_s=60)
        await routes.aclose()
        await state.aclose()

    asyncio.run(sends_to_rest())

    def breaker() -> str:
        models = terminal("providers", "--json").json["models"]
        return next(str(each["breaker"]) for each in models if each["name"] == "parrot")

    assert breaker() == "open"
    assert "rests after failures (server)" in terminal("providers").out
    assert terminal("ask", "Hello").exit == 1
    assert terminal("ask", "Hello", "--model", "parrot").exit == 0  # and that was its probe
    assert breaker() == "closed"


def test_a_wrong_config_is_one_sentence(terminal: Terminal, configured: Any) -> None:
    configured("providers: {x: {kind: nope}}\nroutes: {default: [local]}\n")

    printed = terminal("providers")

    assert printed.exit == 1
    assert "has the unknown kind `nope`" in printed.err


def test_what_a_model_does_not_take_is_told(terminal: Terminal, configured: Any) -> None:
    claude = '{kind: anthropic, api_key: sk-secret, base_url: "http://127.0.0.1:9"}'
    configured(
        f"providers: {{a: {claude}}}\nmodels: {{claude: {{provider: a, model: claude-haiku-4-5}}}}\n"
        "routes: {default: [claude], creative: {steps: [claude], temperature: 1.0}}\n"
    )
    note = "Route `creative`, model `claude`: `temperature` is left out."

    assert note in terminal("providers").out.splitlines()
    assert terminal("providers", "--json").json["notes"] == [note]
