"""Static files, straight from the source tree: no collectstatic, and yet cached for ever.

Addresses carry one hash of all files, as a directory: /static/3f9c2a71d0/js/chat.js. Relative
imports between modules and url() in style sheets stay in that directory, so a page never mixes two
versions. Another hash (a page from before an update, mid-deploy) gets today's file, uncached.
"""

import hashlib
import io
import re
from functools import lru_cache
from pathlib import Path
from typing import Any
from wsgiref.headers import Headers

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.contrib.staticfiles.storage import StaticFilesStorage
from whitenoise.base import WhiteNoise  # type: ignore[import-untyped]

HASH_LENGTH = 10
VERSIONED = re.compile(rf"^[0-9a-f]{{{HASH_LENGTH}}}/")
FOREVER = b"public, max-age=31536000, immutable"
CHUNK_BYTES = 256 * 1024


@lru_cache(maxsize=1)
def files() -> dict[str, Path]:
    """Return every static file by its name ("js/chat.js"); the project's own come first."""
    found: dict[str, Path] = {}
    for finder in get_finders():
        for name, storage in finder.list(["CVS", ".*", "*~"]):
            found.setdefault(name.replace("\\", "/"), Path(storage.path(name)))
    return found


@lru_cache(maxsize=1)
def version() -> str:
    """Return the hash of all names and contents: alike on every machine with the same release."""
    digest = hashlib.sha256()
    for name, path in sorted(files().items()):
        digest.update(name.encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()[:HASH_LENGTH]


class AssetStorage(StaticFilesStorage):
    """Gives {% static %} its addresses. With DEBUG they are bare, and files are read anew."""

    def url(self, name: str | None, force: bool = False) -> str:
        """Return the address of a static file."""
        path = (name or "").lstrip("/")
        return super().url(path if settings.DEBUG or not path else f"{version()}/{path}")


class Assets:
    """ASGI application that answers what lies under STATIC_URL and passes on the rest."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.prefix = settings.STATIC_URL
        self.whitenoise = WhiteNoise(None, max_age=None, allow_all_origins=False, add_headers_function=_guard)
        for name, path in files().items():
            self.whitenoise.add_file_to_dictionary(name, str(path))

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if not scope["path"].startswith(self.prefix):
            await self.application(scope, receive, send)
            return
        asked = scope["path"].removeprefix(self.prefix)
        name = VERSIONED.sub("", asked)
        known = self.whitenoise.files.get(name)
        if settings.DEBUG:
            files.cache_clear()
            known = self.whitenoise.get_static_file(str(files()[name]), name) if name in files() else None
        if known is None:
            await _send(send, 404, [("Content-Type", "text/plain"), ("Cache-Control", "no-store")], None)
            return
        headers = {f"HTTP_{key.decode('latin-1').upper().replace('-', '_')}": value.decode("latin-1")
                   for key, value in scope["headers"]}  # fmt: skip
        response = known.get_response(scope["method"], headers)
        is_current = not settings.DEBUG and asked.startswith(f"{version()}/")
        caching = ("Cache-Control", FOREVER.decode() if is_current else "no-cache")
        await _send(send, int(response.status), [*response.headers, caching], response.file)


async def _send(
    send: Any, status: int, headers: list[tuple[str, str]], body: io.BufferedIOBase | None
) -> None:
    raw = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    await send({"type": "http.response.start", "status": status, "headers": raw})
    if body is not None:
        with body:
            while chunk := body.read(CHUNK_BYTES):
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
    await send({"type": "http.response.body", "body": b""})


def _guard(headers: Headers, _path: str, _url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
