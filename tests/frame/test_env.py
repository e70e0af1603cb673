"""Settings from the environment: what they may be, and what is said when they may not."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from chatbot.env import BadSettingError, Environment, secret_kept_in

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Environment:
    monkeypatch.delenv("NAME", raising=False)
    monkeypatch.delenv("NAME_FILE", raising=False)
    return Environment()


@pytest.mark.parametrize(
    ("value", "expected"),
    [("true", True), ("YES", True), ("1", True), ("off", False), ("0", False), (" ", True)],
)
def test_a_flag_is_yes_or_no(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, value: str, expected: bool
) -> None:
    monkeypatch.setenv("NAME", value)

    assert environment.flag("NAME", default=True) is expected


def test_an_empty_value_counts_as_unset(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "  ")

    assert environment.number("NAME", 7) == 7
    assert environment.database("NAME", "sqlite:////x", shown="sqlite:///x")["NAME"] == "/x"
    assert "NAME" not in os.environ


@pytest.mark.parametrize("value", ["abc", "1.5", "-1", "11", "1e3", "٣x"])
def test_a_number_out_of_bounds_is_refused_with_what_would_do(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("NAME", value)

    with pytest.raises(BadSettingError) as refused:
        environment.number("NAME", 3, at_least=0, at_most=10)

    assert f"`NAME` is `{value}`" in str(refused.value)
    assert "a whole number from 0 to 10, such as 3." in str(refused.value)


def test_a_choice_ignores_case_and_names_the_options(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAME", "Debug")
    assert environment.choice("NAME", "INFO", ("DEBUG", "INFO")) == "DEBUG"

    monkeypatch.setenv("NAME", "loud")
    with pytest.raises(BadSettingError, match="write one of DEBUG, INFO"):
        environment.choice("NAME", "INFO", ("DEBUG", "INFO"))


def test_networks_are_addresses_or_ranges(environment: Environment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NAME", "127.0.0.1, 10.0.0.0/8,fd00::/8")
    assert [str(each) for each in environment.networks("NAME")] == ["127.0.0.1/32", "10.0.0.0/8", "fd00::/8"]

    monkeypatch.setenv("NAME", "127.0.0.1, proxy.example")
    with pytest.raises(BadSettingError, match=r"`NAME` is `proxy\.example`, which is no address"):
        environment.networks("NAME")


@pytest.mark.parametrize(
    "value",
    ["shop.example", "ftp://shop.example", "https://shop.example/path", "https://a@shop.example", "*"],
)
def test_what_is_no_origin_is_refused(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("NAME", value)

    with pytest.raises(BadSettingError, match="which is no origin"):
        environment.origins("NAME")


def test_origins_are_kept_in_lower_case_without_a_slash(
    environment: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAME", "https://Shop.Example:8443/, http://other.example")

    assert environment.origins("NAME") == ["https://shop.example:8443", "http://other.example"]


@pytest.mark.parametrize(
    "value", ["mysql://u:secret@host/db", "postgres://u:secret@host:port/db", "nonsense"]
)
def test_a_refused_database_address_does_not_show_its_password(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, value: str
) -> None:
    monkeypatch.setenv("NAME", value)

    with pytest.raises(BadSettingError) as refused:
        environment.database("NAME", "sqlite:////x", shown="sqlite:///x")

    assert "secret" not in str(refused.value)


def test_a_secret_may_stand_in_a_file(
    environment: Environment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secret").write_text("s3cret\n")
    monkeypatch.setenv("NAME_FILE", str(tmp_path / "secret"))
    assert environment.secret("NAME") == "s3cret"

    monkeypatch.setenv("NAME_FILE", str(tmp_path / "absent"))
    with pytest.raises(BadSettingError, match=r"`NAME_FILE` is .*absent`, which cannot be read"):
        environment.secret("NAME")


def test_many_processes_make_one_secret(tmp_path: Path) -> None:
    file = tmp_path / "secret_key"
    with ThreadPoolExecutor(16) as threads:
        secrets = set(threads.map(lambda _: secret_kept_in(file), range(64)))

    assert len(secrets) == 1
    assert file.stat().st_mode & 0o777 == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["secret_key"]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("LIMIT_FRAMES_PER_10S", "many", "`LIMIT_FRAMES_PER_10S` is `many`, which is not a whole number"),
        ("MESSAGE_MAX_CHARS", "0", "`MESSAGE_MAX_CHARS` is `0`, which is out of bounds"),
        ("DATABASE_URL", "mysql://u:secret@db/x", "`DATABASE_URL` is `mysql://…`, which is neither SQLite"),
        (
            "REDIS_URL",
            "localhost:6379",
            "`REDIS_URL` is `localhost:6379`, which is not an address we can use",
        ),
        ("PUBLIC_URL", "chat.example", "`PUBLIC_URL` is `chat.example`, which is not an address"),
        ("EMAIL_URL", "carrier://pigeon", "`EMAIL_URL` is `carrier://pigeon`, which cannot be understood"),
        ("LOG_FORMAT", "xml", "`LOG_FORMAT` is `xml`, which is not known; write one of json, text."),
        ("SECRET_KEY", "short", "`SECRET_KEY` is shorter than 32 characters"),
        ("CHATBOT_VAR", "/dev/null/var", "`CHATBOT_VAR` is `/dev/null/var`, which cannot be made"),
        ("TRUSTED_PROXIES", "all", "`TRUSTED_PROXIES` is `all`, which is no address"),
        ("DEBUG", "perhaps", "`DEBUG` is `perhaps`, which is neither yes nor no; write true or false."),
    ],
)
def test_a_bad_value_stops_the_start_with_one_sentence(name: str, value: str, sentence: str) -> None:
    started = subprocess.run(
        [sys.executable, "manage.py", "check"],
        cwd=ROOT,
        env={**os.environ, name: value},
        capture_output=True,
        text=True,
        check=False,
    )

    assert started.returncode == 1
    assert started.stderr.startswith(sentence)
    assert started.stderr.endswith(".\n")
    assert started.stderr.count("\n") == 1
    assert "secret@" not in started.stderr
