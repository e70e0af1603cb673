"""A web process with a database of its own, and what members of the staff do in a browser."""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from chatbot import listening
from tests.browser.tabs import Visitors
from tests.redis_server import RedisServer

ROOT = Path(__file__).parent.parent.parent
PASSWORD = "northwind-staff-1"


@dataclass
class House:
    """A web process with its database and Redis. `environment` is what its commands run in."""

    origin: str
    environment: dict[str, str]

    def run(self, *command: str) -> None:
        """Run a command of the project to its end."""
        subprocess.run([sys.executable, *command], cwd=ROOT, env=self.environment, check=True)


@contextmanager
def open_house(directory: Path, seed: str, **environment: str) -> Iterator[House]:
    """Open a house in whose database the Python program `seed` has been."""
    redis_server = RedisServer()
    socket = listening.listen("127.0.0.1", 0)
    whole = {
        **os.environ,
        "CHATBOT_VAR": str(directory),
        "DATABASE_URL": "",
        "REDIS_URL": redis_server.url,
        "LOG_LEVEL": "WARNING",
        "DJANGO_SETTINGS_MODULE": "chatbot.settings",
        **environment,
    }
    house = House(listening.url(socket).rstrip("/"), whole)
    house.run("manage.py", "migrate", "-v0")
    house.run("-c", seed)
    process = subprocess.Popen(
        [sys.executable, "manage.py", "web", "--fd", str(socket.fileno())],
        cwd=ROOT, env=whole, pass_fds=[socket.fileno()],
    )  # fmt: skip
    socket.close()
    try:
        wait_until(lambda: answers(house.origin + "/livez"))
        yield house
    finally:
        process.terminate()
        process.wait(20)
        redis_server.close()


def wait_until(is_true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not is_true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except (urllib.error.URLError, TimeoutError):
        return False


def sign_in(page: Page, password: str = PASSWORD) -> Page:
    page.locator("#id_username").fill("mei")
    page.locator("#id_password").fill(password)
    page.locator("button[type=submit]").click()
    return page


def signed_in(visitors: Visitors, path: str = "/console/", **options: Any) -> Page:
    page = sign_in(visitors.arrive(path, **options))
    page.wait_for_url(f"**{path}")
    return page


def findings(page: Page) -> list[str]:
    return [f"{found['id']}: {found['nodes'][0]['html']}" for found in Axe().run(page).response["violations"]]


def is_wider_than_its_window(page: Page) -> bool:
    wider: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wider


LOOKS = pytest.mark.parametrize(
    "look",
    [
        {"size": (1280, 860)},
        {"size": (1280, 860), "dark": True, "locale": "zh-CN"},
        {"size": (360, 740), "touch": True, "locale": "zh-CN"},
        {"size": (320, 640), "touch": True, "dark": True},
    ],
    ids=["desktop-light", "desktop-dark-zh", "phone-light-zh", "narrow-dark"],
)
