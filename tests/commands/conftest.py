"""The cast of these tests: `terminal`, who types commands and reads what they print."""

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

CONFIG = """\
providers:
  said: {kind: scripted}
  gone: {kind: openai, base_url: "http://127.0.0.1:9/v1", api_key: sk-secret}
  none: {preset: deepseek, api_key: "${NOT_SET}"}
models:
  parrot: {provider: said, model: echo-1, prices: {input: 1.5, output: 2, currency: EUR}}
  lost: {provider: gone, model: g-1}
  mute: {provider: none, model: deepseek-chat}
routes:
  default: [parrot, local]
  mixed: [{parrot: 3, lost: 1}, mute, local]
  dead: [mute]
  doomed: [lost]
"""


class Printed(NamedTuple):
    """What a command left behind."""

    exit: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return orjson.loads(self.out)


Terminal = Callable[..., Printed]


@pytest.fixture
def configured(settings: Settings, tmp_path: Path) -> Callable[[str], None]:
    """Write another config.yaml."""

    def write(text: str) -> None:
        file = tmp_path / "config.yaml"
        file.write_text(text)
        settings.CONFIG_FILE = file

    write(CONFIG)
    return write


@pytest.fixture
def terminal(configured: Callable[[str], None], transactional_db: None) -> Terminal:
    """Run a command as manage.py does."""

    def run(*words: Any) -> Printed:
        out, err, code = StringIO(), StringIO(), 0
        try:
            skip: dict[str, Any] = {} if words[0] == "check" else {"skip_checks": True}
            call_command(*map(str, words), stdout=out, stderr=err, **skip)
        except SystemExit as end:
            code = int(end.code or 0)
        except CommandError as error:
            code = 1
            err.write(str(error))
        return Printed(code, out.getvalue(), err.getvalue())

    return run
