"""Secrets of config.yaml: changed while we run, and decrypted by AWS KMS."""

import base64
import json
import logging
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from chatbot import config, kms, variables
from chatbot.config import ConfigError
from chatbot.providers.keyed import KeyedSettings
from chatbot.providers.keys import Secret
from tests.providers.asking import ask, provider_at
from tests.providers.loopback import Reply, json_reply, loopback
from tests.providers.wires import SAMPLES

SMALL = """\
providers:
  house: {kind: openai, base_url: "http://127.0.0.1:8081/v1", api_key: "KEY"}
models:
  big: {provider: house, model: some-70b}
routes:
  default: [big]
"""
HELLO = Reply(pieces=[SAMPLES["openai"].delta("Hi"), SAMPLES["openai"].end])


def key_of(tmp_path: Path, text: str, **environ: str) -> Secret:
    """The key of a config.yaml that says `text` for it."""
    file = tmp_path / "config.yaml"
    file.write_text(SMALL.replace("KEY", text))
    settings = config.load(file, environ).providers["house"].settings
    assert isinstance(settings, KeyedSettings)
    assert settings.api_key is not None
    return settings.api_key


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, to be moved on."""
    now = [1000.0]
    monkeypatch.setattr(variables, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_key_in_a_file_is_read_again_when_the_file_changes(tmp_path: Path, clock: list[float]) -> None:
    file = tmp_path / "key"
    file.write_text("sk-1\n")
    key = key_of(tmp_path, "${KEY}", KEY_FILE=str(file))

    file.write_text("sk-22\n")
    at_once = key.reveal()
    clock[0] += 1.0

    assert (at_once, key.reveal()) == ("sk-1", "sk-22")  # one look a second is enough
    file.write_text("sk-33\n")
    key.look_again()  # it was refused
    assert key.reveal() == "sk-33"


def test_a_file_that_is_just_being_written_changes_nothing(tmp_path: Path, clock: list[float]) -> None:
    file = tmp_path / "key"
    file.write_text("sk-1")
    key = key_of(tmp_path, "${KEY}", KEY_FILE=str(file))

    for spoil in (lambda: file.write_text("  \n"), lambda: file.write_bytes(b"\xff"), file.unlink):
        spoil()
        clock[0] += 1.0
        assert key.reveal() == "sk-1"
    file.write_text("sk-2")
    clock[0] += 1.0
    assert key.reveal() == "sk-2"


def test_a_secret_made_of_several_parts_follows_each(tmp_path: Path, clock: list[float]) -> None:
    (tmp_path / "a").write_text("1")
    (tmp_path / "b").write_text("2")
    key = key_of(tmp_path, "x-${A}-${B}-${C}", A_FILE=str(tmp_path / "a"), B_FILE=str(tmp_path / "b"), C="3")
    (tmp_path / "b").write_text("22")
    clock[0] += 1.0

    assert key.reveal() == "x-1-22-3"


def test_the_environment_goes_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("file")

    assert key_of(tmp_path, "${A}", A="environment", A_FILE=str(tmp_path / "a")).reveal() == "environment"


async def test_a_refused_key_that_was_changed_meanwhile_is_tried_at_once(tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text("sk-old")
    key = key_of(tmp_path, "${KEY}", KEY_FILE=str(file))
    async with loopback() as service:
        service.answers(json_reply(401, {}), HELLO)
        provider = provider_at(service.url, "openai", api_key=key)
        file.write_text("sk-new")

        assert (await ask(provider)).text == "Hi"
        sent = [request.headers["authorization"] for request in service.requests]
        assert sent == ["Bearer sk-old", "Bearer sk-new"]
        await provider.aclose()


class Kms:
    """Speaks the wire of AWS KMS: `POST /` with X-Amz-Target TrentService.Decrypt."""

    def __init__(self) -> None:
        self.secrets: dict[str, bytes] = {}
        self.asked: list[dict[str, str]] = []
        stub = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                stub.asked.append({"target": self.headers["X-Amz-Target"], **body})
                known = stub.secrets.get(body["CiphertextBlob"])
                answer: dict[str, Any] = {
                    "__type": "InvalidCiphertextException",
                    "message": "It is not ours.",
                }
                if known is not None:
                    answer = {"KeyId": "k", "Plaintext": base64.b64encode(known).decode()}
                text = json.dumps(answer).encode()
                self.send_response(400 if known is None else 200)
                self.send_header("Content-Type", "application/x-amz-json-1.1")
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *args: Any) -> None:
                """Nobody reads it."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def encrypts(self, plaintext: bytes) -> str:
        ciphertext = base64.b64encode(b"sealed+/" + plaintext[::-1] + b"\xff\xfe").decode()
        self.secrets[ciphertext] = plaintext
        return ciphertext

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kms]:
    """AWS KMS on the loopback, and somebody who may use it."""
    stub = Kms()
    kms.decrypt.cache_clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", f"http://127.0.0.1:{stub.server.server_port}")
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wJalr")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nowhere")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/nowhere")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    yield stub
    stub.stop()
    kms.decrypt.cache_clear()


def test_a_secret_is_decrypted_once(aws: Kms, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    ciphertext = aws.encrypts(b"sk-from-kms\n")

    keys = [key_of(tmp_path, f"${{kms:{ciphertext}}}") for _ in range(3)]

    assert [key.reveal() for key in keys] == ["sk-from-kms"] * 3
    assert aws.asked == [{"target": "TrentService.Decrypt", "CiphertextBlob": ciphertext}]
    assert "from-kms" not in repr(keys)
    assert base64.b64encode(b"sk-from-kms\n").decode() not in caplog.text
    assert "from-kms" not in caplog.text


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "${kms:bm90IG91cnM=}",
            "AWS KMS did not decrypt a `${kms:…}`: InvalidCiphertextException. It is not ours.",
        ),
        ("${kms:!}", "`${kms:…}` does not hold base64."),
    ],
)
def test_what_cannot_be_decrypted_is_told_with_its_line(
    aws: Kms, tmp_path: Path, text: str, sentence: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        key_of(tmp_path, text)

    assert caught.value.mistakes == (f"config.yaml, line 2: {sentence}",)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("AWS_REGION", "specify a region"), ("AWS_ACCESS_KEY_ID", "credentials")],
)
def test_who_may_not_ask_aws_is_told(
    aws: Kms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, sentence: str
) -> None:
    monkeypatch.delenv(name)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)

    with pytest.raises(ConfigError) as caught:
        key_of(tmp_path, f"${{kms:{aws.encrypts(b'x')}}}")

    assert sentence in caught.value.mistakes[0]


def test_without_boto3_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)

    with pytest.raises(ConfigError) as caught:
        key_of(tmp_path, "${kms:AAAA}")

    assert caught.value.mistakes == (
        "config.yaml, line 2: `${kms:…}` needs boto3; install it with the extra `kms` (pip install boto3).",
    )


def test_a_ciphertext_stands_only_where_a_secret_does(tmp_path: Path) -> None:
    file = tmp_path / "config.yaml"
    file.write_text(SMALL.replace("some-70b", '"${kms:AAAA}"'))

    with pytest.raises(ConfigError) as caught:
        config.load(file, {})

    assert caught.value.mistakes == ("config.yaml, line 4: `${kms:…}` may stand only where a secret does.",)
