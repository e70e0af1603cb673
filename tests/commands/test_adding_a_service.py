"""CONTRIBUTING.md, "How to add a model service", followed to the letter: it is enough."""

import asyncio
import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import connections

from chatbot import config
from tests.commands.conftest import Printed, Terminal
from tests.providers.loopback import Reply, json_reply, loopback
from tests.providers.wires import SAMPLES, answer

ROOT = Path(__file__).resolve().parents[2]
SAYS = SAMPLES["openai"]


def steps() -> tuple[str, list[str]]:
    """The rows of step 1, and the commands of step 2."""
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    section = text.partition("## How to add a model service")[2].partition("\n## ")[0]
    rows, commands = re.findall(r"^   ```\w+\n(.*?)^   ```", section, re.DOTALL | re.MULTILINE)
    return re.sub("^   ", "", rows, flags=re.MULTILINE), [line.strip() for line in commands.splitlines()]


async def follow(run: Terminal, command: str) -> Printed:
    """Type a command, beside the service that it asks."""

    def typed() -> Printed:
        try:
            return run(*shlex.split(command.partition("manage.py ")[2]))
        finally:
            connections.close_all()

    return await asyncio.to_thread(typed)


async def test_three_rows_and_a_key_are_enough(
    terminal: Terminal, configured: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, commands = steps()
    name = re.match(r"export (\w+)=", commands[0])
    assert name is not None
    monkeypatch.setenv(name[1], "tg-secret")
    async with loopback() as service:
        service.answers(Reply(pieces=[answer(SAYS, "In three ", "days.")]))
        configured(rows.replace("https://api.together.xyz", service.url))

        printed = [await follow(terminal, command) for command in commands[1:]]

        assert [each.exit for each in printed] == [0, 0, 0], printed
        assert "llama" in printed[1].out
        assert printed[2].out == "In three days.\n"
        asked = service.requests[-1]
        assert asked.path == "/v1/chat/completions"
        assert asked.headers["authorization"] == "Bearer tg-secret"
        assert asked.json["model"] == "meta-llama/Llama-3.3-70B-Instruct-Turbo"


@pytest.mark.parametrize(
    ("refused", "setting"),
    [
        ("max_completion_tokens", "output_limit_field: max_tokens"),
        ("max_tokens", "output_limit_field: max_completion_tokens"),
        ("stream_options", "include_usage: false"),
        ("temperature", "leave_out: [temperature]"),
    ],
)
async def test_what_a_stricter_service_says_leads_to_the_setting(
    terminal: Terminal,
    configured: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch,
    refused: str,
    setting: str,
) -> None:
    rows, commands = steps()
    monkeypatch.setenv("TOGETHER_API_KEY", "tg-secret")
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    assert setting.partition(":")[0] in text
    async with loopback() as service:
        rows = rows.replace("https://api.together.xyz", service.url)
        rows = rows.replace("max_output_tokens: 800", "max_output_tokens: 800\n    temperature: 0.3")
        service.answers(json_reply(400, {"error": {"message": f"Unknown field: {refused}"}}))
        configured(rows)
        before = await follow(terminal, commands[2])
        assert before.exit == 1
        assert f"invalid_request: Unknown field: {refused}" in before.out

        service.answers(Reply(pieces=[answer(SAYS, "ready")]))
        configured(rows.replace("{kind: openai,", f"{{kind: openai, {setting},"))
        after = await follow(terminal, commands[2])

        assert after.exit == 0
        assert refused not in service.requests[-1].json


def test_the_shipped_file_has_these_very_rows() -> None:
    rows, _ = steps()
    shipped = yaml.safe_load((ROOT / "config.yaml").read_text("utf-8"))
    written: dict[str, Any] = yaml.safe_load(rows)

    assert written["providers"].items() <= shipped["providers"].items()
    assert written["models"].items() <= shipped["models"].items()
    assert "llama" in shipped["routes"]["default"]
    loaded = config.load(ROOT / "config.yaml", {"TOGETHER_API_KEY": "k"})
    assert loaded.steps(loaded.routes["default"]) == ((("llama", 1.0),),)
