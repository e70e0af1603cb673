"""System checks: each speaks when it should, is silent otherwise, and says what would help."""

import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.checks import CheckMessage
from pytest_django import Settings

from chatbot import checks

Check = Callable[[], list[CheckMessage]]

USABLE = """
providers: {openai: {kind: openai, api_key: k, base_url: "http://127.0.0.1:1/v1"}}
models: {quick: {provider: openai, model: m}}
routes: {default: [quick]}
"""


@pytest.fixture(autouse=True)
def sound(settings: Settings, tmp_path: Path) -> None:
    """Settings with nothing to complain about."""
    settings.SECRET_KEY_FILE = tmp_path / "secret_key"
    settings.SECRET_KEY_FILE.touch(mode=0o600)
    settings.CONFIG_FILE = tmp_path / "config.yaml"
    settings.CONFIG_FILE.write_text(USABLE)
    settings.IS_PUBLIC_HTTPS = True
    settings.PUBLIC_URL = "https://chat.example"
    settings.ALLOWED_HOSTS = ["chat.example"]


def leave_key_open(settings: Settings) -> None:
    settings.SECRET_KEY_FILE.chmod(0o644)


def trust_everybody(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("::/0")]


def allow_every_host(settings: Settings) -> None:
    settings.ALLOWED_HOSTS = ["*"]


def shorten_token(settings: Settings) -> None:
    settings.METRICS_TOKEN = "short"


def debug_in_public(settings: Settings) -> None:
    settings.DEBUG = True


def break_config(settings: Settings) -> None:
    settings.CONFIG_FILE.write_text("routes: {default: [nobody]}")


def take_the_key(settings: Settings) -> None:
    settings.CONFIG_FILE.write_text(USABLE.replace("api_key: k", 'api_key: "${NO_SUCH_KEY}"'))


def stay_in_the_clear(settings: Settings) -> None:
    settings.IS_PUBLIC_HTTPS = False


CASES: list[tuple[Check, Callable[[Settings], None], str]] = [
    (checks.secret_key_is_private, leave_key_open, "chatbot.W001"),
    (checks.proxies_are_not_everybody, trust_everybody, "chatbot.W002"),
    (checks.hosts_are_named, allow_every_host, "chatbot.W003"),
    (checks.metrics_token_is_long, shorten_token, "chatbot.W004"),
    (checks.public_address_is_https, stay_in_the_clear, "chatbot.W005"),
    (checks.config_can_be_used, take_the_key, "chatbot.W006"),
    (checks.debug_is_not_public, debug_in_public, "chatbot.E001"),
    (checks.config_can_be_used, break_config, "chatbot.E002"),
]


@pytest.mark.parametrize(("check", "spoil", "number"), CASES, ids=[case[2] for case in CASES])
def test_a_check_speaks_when_it_should_and_helps(
    settings: Settings, check: Check, spoil: Callable[[Settings], None], number: str
) -> None:
    assert check() == []

    spoil(settings)

    (message,) = check()
    assert message.id == number
    assert message.hint
