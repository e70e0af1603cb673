"""Static files: cached for ever under their hash, and never stale."""

import re
from pathlib import Path
from typing import Any

import pytest
from django.templatetags.static import static
from pytest_django import Settings

from chatbot import assets


async def get(
    application: Any, path: str, method: str = "GET", **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """Ask an ASGI application and return status, headers and body."""
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "headers": [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()],
    }
    sent: list[dict[str, Any]] = []

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    await application(scope, None, send)
    assert sent[-1].get("more_body", False) is False
    found = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], found, b"".join(message["body"] for message in sent[1:])


async def elsewhere(_scope: Any, _receive: Any, send: Any) -> None:
    await send({"type": "http.response.start", "status": 418, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@pytest.fixture
def served() -> assets.Assets:
    return assets.Assets(elsewhere)


async def test_a_page_names_files_by_the_hash_of_all_and_may_keep_them(served: assets.Assets) -> None:
    address = static("css/tokens.css")

    status, headers, body = await get(served, address)

    assert re.fullmatch(r"/static/[0-9a-f]{10}/css/tokens\.css", address)
    assert status == 200
    assert body == assets.files()["css/tokens.css"].read_bytes()
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["content-type"] == 'text/css; charset="utf-8"'
    assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("path", ["/static/0123456789/css/tokens.css", "/static/css/tokens.css"])
async def test_another_release_or_none_gets_todays_file_uncached(served: assets.Assets, path: str) -> None:
    status, headers, body = await get(served, path)

    assert (status, headers["cache-control"]) == (200, "no-cache")
    assert body


async def test_what_the_browser_has_is_not_sent_again(served: assets.Assets) -> None:
    address = static("css/tokens.css")
    _status, headers, _body = await get(served, address)

    status, _headers, body = await get(served, address, if_none_match=headers["etag"])

    assert (status, body) == (304, b"")


@pytest.mark.parametrize(
    "path",
    ["/static/", "/static/no.css", "/static/../chatbot/settings.py", "/static//etc/passwd",
     "/static/0123456789/../../manage.py", "/static/css", "/static/%2e%2e/manage.py"],
)  # fmt: skip
async def test_nothing_else_is_served(served: assets.Assets, path: str) -> None:
    status, headers, _body = await get(served, path)

    assert (status, headers["cache-control"]) == (404, "no-store")


async def test_other_paths_and_methods(served: assets.Assets) -> None:
    assert (await get(served, "/"))[0] == 418
    assert (await get(served, static("css/tokens.css"), "POST"))[0] == 405
    assert (await get(served, static("css/tokens.css"), "HEAD"))[2] == b""


def test_every_change_of_a_file_changes_all_addresses(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "a.js").write_text("1")
    monkeypatch.setattr(assets, "files", lambda: {"a.js": tmp_path / "a.js"})
    before = assets.version.__wrapped__()

    (tmp_path / "a.js").write_text("2")

    assert assets.version.__wrapped__() != before


async def test_with_debug_files_are_read_anew(settings: Settings, tmp_path: Path) -> None:
    settings.DEBUG = True
    settings.STATICFILES_DIRS = [tmp_path]
    (tmp_path / "a.js").write_text("old")
    served = assets.Assets(elsewhere)
    (tmp_path / "b.js").write_text("new file")

    assert static("b.js") == "/static/b.js"
    assert (await get(served, "/static/b.js"))[2] == b"new file"
    assets.files.cache_clear()
