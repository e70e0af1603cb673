"""What every answer carries, and what is believed of a request."""

import ipaddress
import re

import pytest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, Client, RequestFactory
from pytest_django import Settings

from chatbot.middleware import ClientMiddleware, RequestMiddleware
from conversations import assistants

# A page without a database: the 404 page passes every middleware.
PAGE = "/no-such-page"


@pytest.fixture
def client() -> Client:
    return Client(headers={"host": "localhost"})


def test_an_answer_is_kept_out_of_caches_and_frames(client: Client) -> None:
    answer = client.get(PAGE)

    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert "camera=()" in answer.headers["Permissions-Policy"]


def test_the_host_of_a_link_is_not_looked_up_before_a_click(client: Client) -> None:
    answer = client.get(PAGE)

    assert answer.headers["X-DNS-Prefetch-Control"] == "off"


def test_the_policy_allows_nothing_inline_and_nothing_foreign(client: Client) -> None:
    policy = client.get(PAGE).headers["Content-Security-Policy"]
    directives = dict(part.split(" ", 1) for part in policy.split("; "))

    assert directives["default-src"] == directives["base-uri"] == directives["frame-ancestors"] == "'none'"
    assert directives["script-src"] == directives["style-src"] == directives["img-src"] == "'self'"
    assert "unsafe" not in policy
    assert "http" not in policy


def test_a_foreign_host_is_refused(client: Client) -> None:
    assert client.get(PAGE, headers={"host": "evil.example"}).status_code == 400


def test_a_foreign_page_cannot_post_a_form(client: Client) -> None:
    strict = Client(enforce_csrf_checks=True, headers={"host": "localhost"})

    answer = strict.post(
        "/language/setlang/", {"language": "zh-hans"}, headers={"origin": "http://evil.example"}
    )

    assert answer.status_code == 403
    assert "This page was open for too long" in answer.content.decode()


def test_what_is_not_there_is_said_in_our_words(client: Client) -> None:
    answer = client.get(PAGE, headers={"accept-language": "zh-CN"})

    assert answer.status_code == 404
    assert "没有这个页面" in answer.content.decode()


def test_what_fails_shows_a_calm_page_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_about: object) -> None:
        raise RuntimeError("a secret of ours")

    monkeypatch.setattr(assistants, "find", fail)
    client = Client(raise_request_exception=False, headers={"host": "localhost"})

    answer = client.get("/")

    assert answer.status_code == 500
    assert "Something went wrong on our side" in answer.content.decode()
    assert "secret" not in answer.content.decode()
    assert answer.headers["X-Request-ID"]


@pytest.mark.parametrize(
    ("peer", "given", "kept"),
    [
        ("127.0.0.1", "a1b2c3d4-from-the-proxy", True),
        ("203.0.113.7", "a1b2c3d4-from-a-visitor", False),
        ("127.0.0.1", "forged\r\nline", False),
        ("127.0.0.1", "short", False),
        ("127.0.0.1", "x" * 65, False),
    ],
)
def test_only_a_proxys_request_id_is_kept(
    client: Client, settings: Settings, peer: str, given: str, kept: bool
) -> None:
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("127.0.0.1")]

    answer = client.get(PAGE, REMOTE_ADDR=peer, HTTP_X_REQUEST_ID=given)

    assert (answer.headers["X-Request-ID"] == given) is kept
    assert re.fullmatch(r"[\w.-]{8,64}", answer.headers["X-Request-ID"])


@pytest.mark.parametrize(("peer", "address", "is_secure"), [
    ("127.0.0.1", "198.51.100.1", True),
    ("203.0.113.7", "203.0.113.7", False),
])  # fmt: skip
@pytest.mark.parametrize("is_async", [False, True])
async def test_forwarded_headers_count_from_proxies_only(
    settings: Settings, peer: str, address: str, is_secure: bool, is_async: bool
) -> None:
    settings.TRUSTED_PROXIES = [ipaddress.ip_network("127.0.0.1")]
    seen: list[HttpRequest] = []
    headers = {"x-forwarded-for": "6.6.6.6, 198.51.100.1", "x-forwarded-proto": "https"}

    def page(request: HttpRequest) -> HttpResponse:
        seen.append(request)
        return HttpResponse()

    async def async_page(request: HttpRequest) -> HttpResponse:
        return page(request)

    if is_async:
        request = AsyncRequestFactory().get("/", headers=headers)
        request.META["REMOTE_ADDR"] = peer
        await ClientMiddleware(async_page)(request)  # type: ignore[misc]
    else:
        ClientMiddleware(page)(RequestFactory().get("/", REMOTE_ADDR=peer, headers=headers))

    assert seen[0].META["REMOTE_ADDR"] == address
    assert seen[0].is_secure() is is_secure


def test_an_answer_keeps_the_caching_its_view_chose() -> None:
    def page(_request: HttpRequest) -> HttpResponse:
        return HttpResponse(headers={"Cache-Control": "public, max-age=60"})

    answer = RequestMiddleware(page)(RequestFactory().get("/"))

    assert isinstance(answer, HttpResponse)
    assert answer.headers["Cache-Control"] == "public, max-age=60"
