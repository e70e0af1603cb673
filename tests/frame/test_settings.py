"""Every setting stands in .env.example, and the settings follow from one another."""

import os
import re
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from chatbot import settings

ROOT = Path(__file__).parent.parent.parent
# Read by config.yaml, not by settings.py.
OF_CONFIG = {
    "OPENAI_API_KEY": "",
    "OPENAI_BASE_URL": "https://api.openai.com/v1",
    "OPENAI_MODEL": "gpt-5-mini",
}


def described() -> dict[str, tuple[str, str]]:
    """Return what .env.example says: name -> (default, sentence)."""
    found: dict[str, tuple[str, str]] = {}
    sentence = ""
    for line in (ROOT / ".env.example").read_text().splitlines():
        if setting := re.fullmatch(r"#([A-Z][A-Z0-9_]*)=(.*)", line):
            found[setting[1]] = (setting[2], sentence)
            sentence = ""
        else:
            sentence = line.removeprefix("#").strip()
    return found


def test_every_setting_stands_in_the_example_with_its_default() -> None:
    defaults = {name: default for name, (default, _sentence) in described().items()}

    assert defaults == {**settings.env.declared, **OF_CONFIG}


@pytest.mark.parametrize(("name", "sentence"), [(name, said[1]) for name, said in described().items()])
def test_every_setting_has_a_sentence(name: str, sentence: str) -> None:
    assert len(sentence.split()) > 3, name
    assert sentence.endswith("."), name


def test_config_reads_the_names_the_example_has() -> None:
    config = (ROOT / "config.yaml").read_text()
    code = "\n".join(line for line in config.splitlines() if not line.lstrip().startswith("#"))
    names = dict(re.findall(r"\$\{([A-Z][A-Z0-9_]*)(?::-([^}]*))?\}", code))

    assert names.items() >= OF_CONFIG.items()


def settings_with(**environment: str) -> dict[str, object]:
    """Return some settings as another process with this environment has them."""
    names = (
        "ALLOWED_HOSTS", "SESSION_COOKIE_SECURE", "CSRF_COOKIE_SECURE", "SECURE_HSTS_SECONDS",
        "CSRF_TRUSTED_ORIGINS", "CELERY_BROKER_URL", "DATABASES", "PUBLIC_ORIGIN",
    )  # fmt: skip
    code = f"""if True:
        import json
        from chatbot import settings
        print(json.dumps({{name: getattr(settings, name) for name in {names!r}}}, default=str))
    """
    shown = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    found: dict[str, object] = orjson.loads(shown.stdout)
    return found


def test_an_https_address_makes_cookies_secure() -> None:
    found = settings_with(PUBLIC_URL="https://Chat.Example:8443/help/")

    assert found["SESSION_COOKIE_SECURE"] is found["CSRF_COOKIE_SECURE"] is True
    assert found["SECURE_HSTS_SECONDS"]
    assert found["CSRF_TRUSTED_ORIGINS"] == ["https://chat.example:8443"]
    assert "chat.example" in str(found["ALLOWED_HOSTS"])


def test_a_laptop_needs_no_https() -> None:
    found = settings_with()

    assert found["SESSION_COOKIE_SECURE"] is False
    assert found["SECURE_HSTS_SECONDS"] == 0
    assert found["ALLOWED_HOSTS"] == ["localhost", "127.0.0.1", "[::1]"]


def test_sqlite_writes_ahead_and_takes_its_lock_at_once() -> None:
    found = settings_with(DATABASE_URL="")
    options = found["DATABASES"]["default"]["OPTIONS"]  # type: ignore[index]

    assert options["transaction_mode"] == "IMMEDIATE"
    assert "journal_mode=WAL" in options["init_command"]
    assert "synchronous=FULL" in options["init_command"]


def test_postgresql_uses_a_pool_and_keeps_no_connection_per_thread() -> None:
    found = settings_with(DATABASE_URL="postgres://u:p@db/chatbot?sslmode=require")
    database = found["DATABASES"]["default"]  # type: ignore[index]

    assert database["CONN_MAX_AGE"] == 0
    assert database["OPTIONS"]["pool"]["max_size"] == 8
    assert database["OPTIONS"]["sslmode"] == "require"


def test_the_broker_is_spelt_as_kombu_wants_it() -> None:
    assert settings_with(REDIS_URL="unix:///run/r.sock")["CELERY_BROKER_URL"] == "redis+socket:///run/r.sock"
    assert settings_with(REDIS_URL="redis://h:1/2")["CELERY_BROKER_URL"] == "redis://h:1/2"
