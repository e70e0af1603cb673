"""Huawei Pangu: its three ways of signing in, its two versions, and what its errors mean."""

import asyncio
import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from chatbot.providers import pangu
from chatbot.providers.auth import IamSettings, IamToken, Unsigned
from chatbot.providers.http import HttpProvider
from chatbot.providers.keys import Secret
from chatbot.providers.messages import CompletionRequest
from chatbot.providers.pangu import PanguSettings, PanguWire
from chatbot.providers.tokens import ProcessTokens
from chatbot.providers.transport import Transport
from tests.providers.asking import QUESTION, WIRE, Heard, ask, conversation, provider_at, recorded_requests
from tests.providers.loopback import Loopback, Reply, Request, json_reply
from tests.providers.wires import SAMPLES, sse

SAMPLE = SAMPLES["pangu"]
HELLO = Reply(pieces=[SAMPLE.delta("Hi"), SAMPLE.end])
VECTORS = json.loads((WIRE / "pangu" / "huawei_aksk.json").read_text("utf-8"))["vectors"]
RECORDED = recorded_requests("pangu")
TOKEN = RECORDED["huawei_iam_token"]
SIGNED: dict[str, Any] = {
    "project_id": "p-1",
    "deployment_id": "d-1",
    "access_key": "ak-1",
    "secret_key": Secret("sk-s3cret"),
}
EXPIRED = json_reply(
    401, {"error_code": "APIG.0301", "error_msg": "Incorrect IAM authentication information"}
)


async def sent(
    service: Loopback, request: CompletionRequest = QUESTION, *, settings: Any = None, **fields: Any
) -> Request:
    """What reaches the service. `settings` are the provider row's, the rest the target's."""
    service.answers(HELLO)
    provider = provider_at(service.url, "pangu", **(settings or SAMPLE.settings))
    await ask(provider, request, **fields)
    await provider.aclose()
    return service.requests[-1]


async def heard(service: Loopback, *replies: Reply, **settings: Any) -> Heard:
    service.answers(*replies)
    provider = provider_at(service.url, "pangu", **{**SAMPLE.settings, **settings})
    answer = await ask(provider)
    await provider.aclose()
    return answer


def iam(service: Loopback, **more: Any) -> IamSettings:
    given = {"user": "iam-user", "account": "account-name", "password": Secret("Passw0rd!示例")}
    return IamSettings(**{"url": service.url, **given, **more})


def grants(token: str, *, issued_at: float = 0.0, lifetime_s: float = 86400.0, **more: object) -> Reply:
    issued, expires = (datetime.fromtimestamp(at, UTC) for at in (issued_at, issued_at + lifetime_s))
    times = {"issued_at": f"{issued:%Y-%m-%dT%H:%M:%S.%fZ}", "expires_at": f"{expires:%Y-%m-%dT%H:%M:%S.%fZ}"}
    return json_reply(201, {"token": {**times, **more}}, {"X-Subject-Token": token})


class Customer:
    """A provider that signs in at the identity service, with a clock."""

    def __init__(self, service: Loopback) -> None:
        self.service = service
        self.now = time.time()
        settings = PanguSettings(project_id="p-1", deployment_id="d-1", iam=iam(service))
        assert settings.iam is not None
        auth = IamToken("pangu", settings.iam, ProcessTokens(), clock=lambda: self.now)
        self.provider = HttpProvider(
            "pangu", PanguWire(settings), Transport("pangu", auth=auth), base_url=service.url
        )

    async def asks(self) -> Heard:
        return await ask(self.provider)

    @property
    def calls(self) -> list[str]:
        """What reached the service: `token`, or the token a call carried."""
        return [
            "token" if request.path == "/v3/auth/tokens" else request.headers["x-auth-token"]
            for request in self.service.requests
        ]


@pytest.fixture
async def customer(service: Loopback) -> Any:
    made = Customer(service)
    yield made
    await made.provider.aclose()


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_a_request_is_signed_as_the_official_library_signs_it(vector: Any) -> None:
    said = vector["headers"]
    at = datetime.strptime(said["X-Sdk-Date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    headers = {"content-type": said["Content-Type"], "host": vector["host"]}
    request = Unsigned(vector["method"], vector["path"], "", headers, vector["body_utf8"].encode())

    added = pangu.sign(
        request,
        at,
        access_key=vector["ak"],
        secret_key=Secret(vector["sk"]),
        project_id=said["X-Project-Id"],
    )

    assert added == {name: said[name] for name in ("X-Sdk-Date", "X-Project-Id", "Authorization")}
    named = {"X-Sdk-Date": said["X-Sdk-Date"], "X-Project-Id": said["X-Project-Id"]}
    canonical, _ = pangu.canonical_request(request, named)
    assert canonical == vector["canonical_request"]
    assert pangu.string_to_sign(canonical, said["X-Sdk-Date"]) == vector["string_to_sign"]


def test_a_query_is_signed_in_order_and_encoded() -> None:
    headers = {"content-type": "application/json", "host": "h"}
    request = Unsigned("POST", "/a%20b", "z=1&b=x%2Fy&b=a+b&c", headers, b"")

    canonical, signed = pangu.canonical_request(request, {"X-Sdk-Date": "D"})

    assert canonical.split("\n")[:3] == ["POST", "/a%20b/", "b=a%20b&b=x%2Fy&c=&z=1"]
    assert signed == "content-type;host;x-sdk-date"


async def test_what_is_sent_is_what_was_signed(service: Loopback) -> None:
    request = await sent(service, settings={**SIGNED, "query": {"b": "2", "a": "1"}})

    path, _, query = request.path.partition("?")
    stamp = datetime.strptime(request.headers["x-sdk-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    assert abs(stamp - time.time()) < 60
    unsigned = Unsigned("POST", path, query, request.headers, request.body)
    again = pangu.sign(unsigned, stamp, access_key="ak-1", secret_key=SIGNED["secret_key"], project_id="p-1")
    assert request.headers["authorization"] == again["Authorization"]
    assert request.headers["x-project-id"] == "p-1"
    assert query


@pytest.mark.parametrize("stream", [False, True])
async def test_a_request_is_what_the_official_library_sends(service: Loopback, stream: bool) -> None:
    recorded = RECORDED["pangu_v1_chat"]
    settings = {"project_id": "proj1", "deployment_id": "dep1", "api_key": Secret("k-1")}

    request = await sent(service, conversation(recorded["conversation"]), settings=settings, stream=stream)

    assert request.path == recorded["request"]["path"]
    assert request.json == {**recorded["request"]["body"], "stream": stream}
    assert request.headers["authorization"] == "Bearer k-1"


async def test_without_a_deployment_each_model_names_its_own(service: Loopback) -> None:
    settings = {"project_id": "p-1", "api_key": Secret("k-1")}

    request = await sent(service, settings=settings, model="dep/2")

    assert request.path == "/v1/p-1/deployments/dep%2F2/chat/completions"


async def test_the_second_version_speaks_openais_language(service: Loopback) -> None:
    chat = SAMPLES["openai"]
    service.answers(Reply(pieces=[chat.delta("Hel"), chat.delta("lo"), chat.end]))
    provider = provider_at(service.url, "pangu", api_key=Secret("k-1"), wire="v2")

    answer = await ask(provider, model="pangu-nlp-n1-32k")
    await provider.aclose()

    request = service.requests[-1]
    assert (answer.text, answer.finished.usage.output_tokens) == ("Hello", 2)
    assert request.path == "/api/v2/chat/completions"
    assert request.json["model"] == "pangu-nlp-n1-32k"
    assert request.json["stream_options"] == {"include_usage": True}


async def test_a_token_is_asked_for_as_the_official_library_asks(
    customer: Customer, service: Loopback
) -> None:
    service.answers(json_reply(201, TOKEN["response"]["body"], TOKEN["response"]["headers"]), HELLO)

    answers = [await customer.asks(), await customer.asks()]

    assert [answer.text for answer in answers] == ["Hi", "Hi"]
    assert customer.calls == ["token", TOKEN["token"], TOKEN["token"]]
    request, recorded = service.requests[0], TOKEN["request"]
    assert (request.method, request.path, request.json) == ("POST", recorded["path"], recorded["body"])
    assert request.headers["content-type"] == recorded["headers"]["content-type"]
    assert "authorization" not in request.headers


async def test_a_token_of_several_kilobytes_arrives(customer: Customer, service: Loopback) -> None:
    token = "MII" + "x" * 20_000
    service.answers(grants(token), HELLO)

    assert (await customer.asks()).text == "Hi"
    assert customer.calls == ["token", token]


async def test_a_token_is_renewed_ten_minutes_ahead_by_the_services_own_clock(
    customer: Customer, service: Loopback
) -> None:
    service.answers(grants("tok-1", issued_at=1e9), HELLO, HELLO, grants("tok-2"), HELLO)

    await customer.asks()
    customer.now += 86400 - 601
    await customer.asks()
    customer.now += 2
    await customer.asks()

    assert customer.calls == ["token", "tok-1", "tok-1", "token", "tok-2"]


async def test_many_callers_share_one_token(customer: Customer, service: Loopback) -> None:
    service.answers(grants("tok-1"), HELLO)

    answers = await asyncio.gather(*(customer.asks() for _ in range(20)))

    assert [answer.text for answer in answers] == ["Hi"] * 20
    assert customer.calls.count("token") == 1


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_the_gateway_refuses_is_renewed_once(
    customer: Customer, service: Loopback, status: int
) -> None:
    refusal = json_reply(status, {"error_code": "APIG.0301", "error_msg": "decrypt token fail"})
    service.answers(grants("tok-1"), refusal, grants("tok-2"), HELLO)

    assert (await customer.asks()).text == "Hi"
    assert customer.calls == ["token", "tok-1", "token", "tok-2"]


async def test_a_second_refusal_is_told(customer: Customer, service: Loopback) -> None:
    service.answers(grants("tok-1"), EXPIRED, grants("tok-2"), EXPIRED)

    error = (await customer.asks()).error

    assert error is not None
    assert (error.kind, error.retryable, error.code) == ("auth_expired", True, "APIG.0301")
    assert customer.calls == ["token", "tok-1", "token", "tok-2"]


async def test_another_error_is_read_though_the_flow_has_looked_at_it(
    customer: Customer, service: Loopback
) -> None:
    service.answers(
        grants("tok-1"),
        json_reply(429, {"error_code": "APIG.0308", "error_msg": "throttled"}, {"retry-after": "2"}),
    )

    error = (await customer.asks()).error

    assert error is not None
    assert (error.kind, error.message, error.retry_after_s) == ("rate_limit", "throttled", 2.0)
    assert customer.calls == ["token", "tok-1"]


async def test_a_token_in_an_errors_text_is_taken_out(customer: Customer, service: Loopback) -> None:
    service.answers(
        grants("tok-secret"), json_reply(400, {"error_code": "X", "error_msg": "bad tok-secret!"})
    )

    error = (await customer.asks()).error

    assert error is not None
    assert error.message == "bad …!"


@pytest.mark.parametrize(
    ("reply", "kind", "said"),
    [
        (
            json_reply(401, {"error": {"code": 401, "message": "The username or password is wrong."}}),
            "auth",
            "The username or password is wrong.",
        ),
        (json_reply(403, {"error_code": "IAM.0001", "error_msg": "no rights"}), "auth", "no rights"),
        (json_reply(201, {"token": {}}), "auth", "gave no token"),
        (json_reply(503, "<html>"), "server", "gave no token"),
    ],
)
async def test_an_identity_service_that_gives_no_token_is_told(
    customer: Customer, service: Loopback, reply: Reply, kind: str, said: str
) -> None:
    service.answers(reply)

    error = (await customer.asks()).error

    assert error is not None
    assert error.kind == kind
    assert said in error.message
    assert customer.calls == ["token"]


async def test_an_address_with_a_path_is_used_as_it_is(service: Loopback) -> None:
    signs_in = iam(service, url=f"{service.url}/v3/auth/tokens?nocatalog=true")
    settings = PanguSettings(base_url=service.url, project_id="p-1", iam=signs_in)
    service.answers(grants("tok-1"), HELLO)
    provider = pangu.build("pangu", settings, ProcessTokens())

    assert (await ask(provider)).text == "Hi"
    await provider.aclose()

    assert service.requests[0].path == "/v3/auth/tokens?nocatalog=true"


@pytest.mark.parametrize(
    ("status", "body", "kind", "retryable"),
    [
        (429, {"error_code": "APIG.0308", "error_msg": "The throttling threshold"}, "rate_limit", True),
        (401, {"error_code": "APIG.0301", "error_msg": "verify aksk signature fail"}, "auth", False),
        (400, {"error_code": "PANGU.0010", "error_msg": "parameter illegal."}, "invalid_request", False),
        (400, {"errorCode": "PANGU.0011", "errorMsg": "Authentication failed."}, "auth", False),
        (400, {"code": "PANGU.3254", "message": "does not exist."}, "not_found", False),
        (400, {"error_code": "PANGU.3267", "error_msg": "exceeds the limit"}, "rate_limit", True),
        (400, {"error_code": "PANGU.3318", "error_msg": "total length"}, "context_length", False),
        (403, {"error_code": "PANGU.3399", "error_msg": "not subscribed"}, "permission", False),
        (500, {"error_code": "PANGU.0031", "error_msg": "Inner service exception."}, "server", True),
        (400, {"error": {"message": "This model's maximum context length is 5"}}, "context_length", False),
        (503, {"error_code": "NEW.1", "error_msg": "busy"}, "overloaded", True),
    ],
)
async def test_each_code_says_what_to_do(
    service: Loopback, status: int, body: Any, kind: str, retryable: bool
) -> None:
    answer = await heard(service, json_reply(status, {**body, "request_id": "r-1"}))

    assert answer.error is not None
    assert (answer.error.kind, answer.error.retryable) == (kind, retryable)
    assert answer.error.message in (*body.values(), *body.get("error", {}).values())
    assert answer.error.request_id == "r-1"


async def test_an_error_in_the_stream_is_classed_like_any_other(service: Loopback) -> None:
    fault = {"error_code": "PANGU.3267", "error_msg": "too frequent"}

    answer = await heard(service, Reply(pieces=[SAMPLE.delta("Half"), sse(fault)]))

    assert answer.text == "Half"
    assert answer.error is not None
    assert (answer.error.kind, answer.error.code) == ("rate_limit", "PANGU.3267")


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({}, ("project_id", "api_key")),
        ({"wire": "v2"}, ("api_key",)),
        ({"wire": "v2", "access_key": "a"}, ("secret_key",)),
        ({"project_id": "p", "iam": IamSettings(user="u")}, ("account", "password")),
        ({"project_id": "p", "api_keys": (Secret("k"),)}, ()),
    ],
)
def test_a_row_says_what_it_lacks(given: Any, missing: tuple[str, ...]) -> None:
    assert PanguSettings(**given).missing() == missing
