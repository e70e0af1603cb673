"""config.yaml: what it may say, what it means, and how its mistakes are told."""

import re
import stat
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chatbot import config
from chatbot.config import Config, ConfigError
from chatbot.providers.base import CallLimits, Timeouts
from chatbot.providers.http import HttpProvider
from chatbot.providers.keys import Secret
from chatbot.providers.messages import Parameters
from chatbot.providers.openai import OpenAISettings, OpenAITraits
from chatbot.providers.parameters import Limits
from chatbot.providers.registry import PRESETS
from tests.providers.config_mistakes import MISTAKES, SMALL

SHIPPED = Path(__file__).parents[2] / "config.yaml"


@pytest.fixture
def load(tmp_path: Path) -> Any:
    def load(text: str, **environ: str) -> Config:
        (tmp_path / "config.yaml").write_text(text, "utf-8")
        return config.load(tmp_path / "config.yaml", environ)

    return load


def settings_of(loaded: Config, provider: str) -> OpenAISettings:
    settings = loaded.providers[provider].settings
    assert isinstance(settings, OpenAISettings)
    return settings


def test_the_shipped_file_runs_with_nothing_set() -> None:
    loaded = config.load(SHIPPED, {})

    assert loaded.needs_local
    assert loaded.providers["openai"].absent == "`api_key` is empty"
    assert {row.absent for row in loaded.providers.values()} >= {"`api_key` is empty"}
    assert set(loaded.routes) == {"default", "creative", "concise"}
    assert all(loaded.steps(route) == ((("local", 1.0),),) for route in loaded.routes.values())


@pytest.mark.parametrize(
    ("key", "provider", "model"),
    [
        ("ANTHROPIC_API_KEY", "anthropic", "claude"),
        ("GEMINI_API_KEY", "gemini", "flash"),
        ("COHERE_API_KEY", "cohere", "command"),
    ],
)
def test_any_one_key_puts_its_model_on_every_route(key: str, provider: str, model: str) -> None:
    loaded = config.load(SHIPPED, {key: "k"})

    assert loaded.providers[provider].absent is None
    assert all(loaded.steps(route) == (((model, 1.0),),) for route in loaded.routes.values())


def test_one_key_alone_is_enough_to_run_on_a_service() -> None:
    loaded = config.load(
        SHIPPED, {"OPENAI_API_KEY": "sk-1", "OPENAI_BASE_URL": "http://proxy/v1", "OPENAI_MODEL": "x"}
    )

    assert not loaded.needs_local
    assert settings_of(loaded, "openai").base_url == "http://proxy/v1"
    assert (loaded.models["quick"].model, loaded.build().targets["quick"].service_limits) == (
        "x",
        CallLimits(rpm=500, tpm=200000, parallel=50),
    )


@pytest.mark.parametrize(
    ("model", "environ"),
    [
        ("hunyuan", {"HUNYUAN_SECRET_ID": "i", "HUNYUAN_SECRET_KEY": "k"}),
        ("tokenhub", {"TOKENHUB_API_KEY": "k"}),
        ("spark", {"SPARK_API_PASSWORD": "k"}),
        ("spark_ws", {"SPARK_APP_ID": "i", "SPARK_API_KEY": "k", "SPARK_API_SECRET": "s"}),
        (
            "pangu",
            {
                "PANGU_PROJECT_ID": "p",
                "PANGU_IAM_ACCOUNT": "a",
                "PANGU_IAM_USER": "u",
                "PANGU_IAM_PASSWORD": "w",
            },
        ),
        ("ernie", {"QIANFAN_AK": "i", "QIANFAN_SK": "k"}),
        ("ernie_v2", {"QIANFAN_API_KEY": "k"}),
    ],
)
async def test_a_shipped_row_is_used_in_every_route_once_its_key_is_set(
    model: str, environ: dict[str, str]
) -> None:
    loaded = config.load(SHIPPED, environ)

    assert all(loaded.steps(route) == (((model, 1.0),),) for route in loaded.routes.values())
    catalog = loaded.build()
    assert set(catalog.targets) == {model}
    await catalog.aclose()
    last = list(environ)[-1]
    assert config.load(SHIPPED, {**environ, last: ""}).needs_local


def test_a_shipped_row_says_what_it_lacks_beside_its_key() -> None:
    with pytest.raises(ConfigError, match="provider `hunyuan` needs `secret_id`"):
        config.load(SHIPPED, {"HUNYUAN_SECRET_KEY": "k"})

    assert config.load(SHIPPED, {}).providers["spark_ws"].absent == "`api_key` and `api_secret` are empty"


async def test_a_catalog_holds_what_can_be_used() -> None:
    local = {
        "LOCAL_MODEL_URL": "http://127.0.0.1:9/v1",
        "LOCAL_MODEL_KEY": "k",
        "LOCAL_MODEL_CONTEXT": "2048",
    }
    catalog = config.load(SHIPPED, local).build()

    [step] = catalog.routes["default"].steps
    [(target, weight)] = [(one.target, one.weight) for one in step.targets]
    assert (target.name, target.context_tokens, target.max_output_tokens, weight) == ("local", 2048, 400, 1.0)
    assert target.timeouts.first_s == 120
    assert isinstance(target.provider, HttpProvider)
    assert set(catalog.targets) == {"local"}
    await catalog.aclose()


def test_a_local_model_that_nobody_started_leaves_its_route_empty() -> None:
    catalog = config.load(SHIPPED, {}).build()

    assert [target for step in catalog.routes["default"].steps for target in step.targets] == []


def test_the_commented_rows_of_the_shipped_file_are_right(load: Any) -> None:
    lines = SHIPPED.read_text("utf-8").split("\n")
    rows = []
    for line in lines:
        commented = re.match(r"  # +[\w-]+:( |$)", line)  # prose has no name in front
        rows.append("  " + line[4:] if commented else line)
    names = re.findall(r"\$\{(\w+)\}", "".join(rows))
    keys = {name: "https://127.0.0.1" if name.endswith("_URL") else "k" for name in names}

    loaded = load("\n".join(rows), **keys)

    assert {"deepseek", "azure", "house", "base", "ollama"} <= set(loaded.providers)
    assert loaded.models["big"].traits == OpenAITraits(reasoning=True)
    assert len(loaded.build().targets) == len(loaded.models) - 1  # the local one has not been started
    assert all(row.absent is None for name, row in loaded.providers.items() if name != "local")


def test_every_setting_reaches_its_row(load: Any) -> None:
    loaded = load("""\
providers:
  house:
    kind: openai
    base_url: http://127.0.0.1:8081/v1
    api_keys: ["${ONE}", "${TWO}"]
    organization: org
    output_limit_field: max_completion_tokens
    include_usage: no
    leave_out: [stop]
    headers: {X-Team: "${TEAM:-support}"}
    query: {api-version: "1"}
    proxy: http://proxy:3128
    auth_header: api-key
    timeout_s: {first: 5, total: 60.5}
    rpm: 10
    parallel: 2
models:
  big:
    provider: house
    model: some-70b
    context_tokens: 32_000
    max_output_tokens: 1200
    stream: false
    rpm: 5
    temperature: 0
    stop: END
    reasoning_effort: low
    timeout_s: {idle: 7}
    prices: {input: 0.5, output: 1.5}
routes:
  default:
    steps: [{big: 2.5, local: 1}]
    total_s: 20
    top_p: 0.5
    max_output_tokens: 300
    limits: {temperature: [0, 1.2], max_output_tokens: 2000}
""", ONE="sk-1", TWO="")  # fmt: skip

    settings, big, route = settings_of(loaded, "house"), loaded.models["big"], loaded.routes["default"]
    assert [key.reveal() for key in settings.api_keys] == ["sk-1", ""]
    assert (settings.headers, settings.query) == ({"X-Team": "support"}, {"api-version": "1"})
    assert (settings.include_usage, settings.leave_out, settings.proxy) == (
        False,
        ("stop",),
        "http://proxy:3128",
    )
    assert loaded.providers["house"].absent is None
    assert big.timeouts == Timeouts(connect_s=5, first_s=5, idle_s=7, total_s=60.5)
    asked = loaded.build().targets["big"]
    assert (asked.limits, asked.service_limits) == (CallLimits(rpm=5), CallLimits(parallel=2))
    assert big.parameters == Parameters(temperature=0.0, stop=("END",), reasoning_effort="low")
    assert (big.context_tokens, big.max_output_tokens, big.stream) == (32000, 1200, False)
    assert big.prices is not None
    assert (big.prices.input, big.prices.currency) == (0.5, "USD")
    assert route.steps == ((("big", 2.5), ("local", 1.0)),)
    assert loaded.steps(route) == ((("big", 2.5),),)
    assert (route.total_s, route.parameters) == (20.0, Parameters(top_p=0.5, max_output_tokens=300))
    assert route.limits == Limits(temperature=(0.0, 1.2), max_output_tokens=2000)


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_every_preset_is_a_working_row(load: Any, preset: str) -> None:
    address = ', base_url: "https://x.example/v1"' if preset == "azure" else ""
    loaded = load(
        SMALL.replace(
            '{kind: openai, base_url: "http://127.0.0.1:8081/v1/"}', f"{{preset: {preset}{address}}}"
        )
    )

    assert settings_of(loaded, "house").base_url.startswith("http")
    assert isinstance(loaded.build().targets["big"].provider, HttpProvider)


def test_a_preset_knows_what_its_service_cannot_promise(load: Any) -> None:
    modes = {}
    for preset in ("deepseek", "qwen", "glm", "kimi", "groq"):
        loaded = load(
            SMALL.replace('{kind: openai, base_url: "http://127.0.0.1:8081/v1/"}', f"{{preset: {preset}}}")
        )
        modes[preset] = settings_of(loaded, "house").json_mode

    assert modes == {
        "deepseek": "object",
        "qwen": "object",
        "glm": "object",
        "kimi": "object",
        "groq": "schema",
    }


def test_what_a_row_says_stands_over_its_preset(load: Any) -> None:
    loaded = load(SMALL.replace("kind: openai", "preset: vllm, timeout_s: {idle: 3}"))

    assert settings_of(loaded, "house").base_url == "http://127.0.0.1:8081/v1"
    assert settings_of(loaded, "house").timeout_s == Timeouts(first_s=120, idle_s=3)


@pytest.mark.parametrize("value", ['"${KEY}"', "${KEY}", '"${KEY:-}"', "", '""'])
def test_a_given_but_empty_secret_means_the_provider_is_absent(load: Any, value: str) -> None:
    text = SMALL.replace('base_url: "http://127.0.0.1:8081/v1/"}', "").replace("{kind: openai, ", "")
    text = text.replace("  house: \n", f"  house:\n    kind: openai\n    api_key: {value}\n")

    loaded = load(text + "  other: [big, local]\n")

    assert loaded.providers["house"].absent == "`api_key` is empty"
    assert loaded.steps(loaded.routes["default"]) == ()
    assert loaded.steps(loaded.routes["other"]) == ((("local", 1.0),),)
    assert loaded.needs_local


def test_a_provider_without_the_line_is_keyless(load: Any) -> None:
    loaded = load(SMALL)

    assert loaded.providers["house"].absent is None
    assert settings_of(loaded, "house").api_key is None
    assert not loaded.needs_local


def test_a_model_that_fails_to_be_local_does_not_start_it(load: Any) -> None:
    assert not load(SMALL.replace("[big]", "[big, local]")).needs_local


def test_secrets_come_from_files_too_and_show_nowhere(load: Any, tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("sk-from-file\n")
    secret.chmod(stat.S_IRUSR)
    text = SMALL.replace("kind: openai", 'kind: openai, api_key: "${KEY}", headers: {X: "${HIDDEN}"}')

    loaded = load(text, KEY_FILE=str(secret), HIDDEN="hidden-header")

    key = settings_of(loaded, "house").api_key
    assert isinstance(key, Secret)
    assert key.reveal() == "sk-from-file"
    shown = repr(loaded) + repr(loaded.build())
    assert "from-file" not in shown
    assert "hidden-header" not in shown


def test_a_value_of_the_environment_is_not_expanded_or_parsed_again(load: Any) -> None:
    loaded = load(SMALL.replace("some-70b", '"${MODEL}"'), MODEL="${HOME}: [x, # y")

    assert loaded.models["big"].model == "${HOME}: [x, # y"


def test_anchors_and_merges_work(load: Any) -> None:
    text = SMALL.replace("some-70b}", "some-70b, temperature: 0.1}").replace("  big: {", "  big: &big {")

    loaded = load(text.replace("routes:", "  small: {<<: *big, model: some-8b}\nroutes:"))

    assert (loaded.models["small"].model, loaded.models["small"].parameters.temperature) == ("some-8b", 0.1)


@pytest.mark.parametrize(("right", "wrong", "sentence"), MISTAKES)
def test_a_mistake_is_one_sentence_with_its_line(load: Any, right: str, wrong: str, sentence: str) -> None:
    assert right in SMALL

    with pytest.raises(ConfigError) as caught:
        load(SMALL.replace(right, wrong, 1), GONE_FILE="/nowhere/key")

    told = [told for told in caught.value.mistakes if sentence in told]
    assert len(told) == 1, caught.value.mistakes
    assert told[0].startswith("config.yaml, line ")
    assert told[0].endswith((".", "?"))


def test_all_mistakes_are_told_at_once_in_order_and_none_twice(load: Any) -> None:
    text = SMALL.replace("kind: openai", "kind: opnai").replace("[big]", "[big, bigg, {big: -1}]")

    with pytest.raises(ConfigError) as caught:
        load(text)

    assert [told.split(": ")[0] for told in caught.value.mistakes] == [
        "config.yaml, line 2",
        "config.yaml, line 6",
        "config.yaml, line 6",
    ]


def test_no_slip_of_the_finger_ends_in_a_traceback(load: Any) -> None:
    for at in range(0, len(SMALL), 3):
        for slip in ("", "{", "]", ":", "- ", "\n", '"', "&a ", "*a", "<<: ", "!!int ", "${", "\u2028"):
            with suppress(ConfigError):
                load(SMALL[:at] + slip + SMALL[at + 1 :])


@pytest.mark.parametrize("text", ["", "# nothing\n", "[]", "3", "\0"])
def test_a_file_that_is_no_configuration_is_refused(load: Any, text: str) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml, line 1: "):
        load(text)


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config\.yaml cannot be read: No such file or directory\."):
        config.load(tmp_path / "config.yaml", {})


def test_a_wrong_local_context_is_told() -> None:
    with pytest.raises(ConfigError, match="LOCAL_MODEL_CONTEXT is `much`"):
        config.load(SHIPPED, {"LOCAL_MODEL_CONTEXT": "much"})


def test_the_configuration_is_read_without_django() -> None:
    script = "import chatbot.config, sys; sys.exit('django' in sys.modules or 'conversations' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", script], cwd=SHIPPED.parent, check=False).returncode == 0


def test_who_moderates_is_a_service_with_a_key(tmp_path: Path) -> None:
    said = "moderation: {provider: openai, categories: [violence], threshold: 0.4, action: flag}\n"
    keyed = SMALL.replace("providers:\n", 'providers:\n  openai: {kind: openai, api_key: "${KEY}"}\n') + said
    (tmp_path / "config.yaml").write_text(keyed)

    with_key = config.load(tmp_path / "config.yaml", {"KEY": "k"}).moderation
    assert with_key is not None
    assert (with_key.provider, with_key.model, with_key.action) == (
        "openai",
        "omni-moderation-latest",
        "flag",
    )
    assert (with_key.categories, with_key.threshold) == (("violence",), 0.4)
    assert config.load(tmp_path / "config.yaml", {}).moderation is None
