"""Gemini: what either API version is sent, and what comes that the contract does not know."""

from dataclasses import replace
from typing import Any

import pytest

from chatbot.providers.gemini import GeminiTraits
from chatbot.providers.keys import Secret
from chatbot.providers.messages import CompletionRequest, JsonSchema, Parameters, Usage
from tests.providers.asking import QUESTION, Heard, ask, conversation, provider_at, recorded_requests
from tests.providers.loopback import Loopback, Reply, Request, json_reply
from tests.providers.wires import SAMPLES, sse

SAMPLE = SAMPLES["gemini"]
HELLO = Reply(pieces=[SAMPLE.delta("Hi"), SAMPLE.end])
RECORDED = recorded_requests("gemini")


async def sent(
    service: Loopback, request: CompletionRequest = QUESTION, *, settings: Any = None, **fields: Any
) -> Request:
    """What reaches the service. `settings` are the provider row's, the rest the target's."""
    service.answers(HELLO)
    provider = provider_at(service.url, "gemini", **{"api_key": Secret("gk-test"), **(settings or {})})
    await ask(provider, request, **fields)
    await provider.aclose()
    return service.requests[-1]


async def heard(service: Loopback, *chunks: object) -> Heard:
    service.answers(Reply(pieces=[sse(*chunks)]))
    provider = provider_at(service.url, "gemini")
    answer = await ask(provider)
    await provider.aclose()
    return answer


def candidate(*parts: object, **more: object) -> dict[str, object]:
    return {"candidates": [{"content": {"role": "model", "parts": parts}, **more}]}


async def test_a_request_is_what_the_official_library_sends(service: Loopback) -> None:
    recorded = RECORDED["gemini_generate"]["request"]
    wish = conversation(RECORDED["gemini_generate"]["conversation"], json="object", reasoning_effort="none")

    request = await sent(service, wish, model="gemini-2.5-flash", stream=False)

    thinking = recorded["body"]["generationConfig"]["thinkingConfig"]
    thinking["thinkingBudget"] = thinking.pop("thinking_budget")  # the service takes both spellings
    assert (request.method, request.path, request.json) == (
        recorded["method"],
        recorded["path"],
        recorded["body"],
    )
    assert request.headers["x-goog-api-key"] == "gk-test"
    assert "authorization" not in request.headers


async def test_a_stream_is_asked_for_as_the_official_library_does(service: Loopback) -> None:
    recorded = RECORDED["gemini_stream"]["request"]
    question = conversation(RECORDED["gemini_stream"]["conversation"]).messages[:1]

    request = await sent(service, CompletionRequest(system="", messages=question), model="gemini-2.5-flash")

    assert (request.path, request.json) == (recorded["path"], recorded["body"])


@pytest.mark.parametrize(
    ("version", "model", "path"),
    [
        ("v1", "gemini-3-flash", "/v1/models/gemini-3-flash:streamGenerateContent?alt=sse"),
        ("v1beta", "gemini-3-flash", "/v1beta/models/gemini-3-flash:streamGenerateContent?alt=sse"),
        ("v1beta", "tunedModels/shop-1", "/v1beta/tunedModels/shop-1:streamGenerateContent?alt=sse"),
    ],
)
async def test_either_version_has_its_path(service: Loopback, version: str, model: str, path: str) -> None:
    assert (await sent(service, settings={"api_version": version}, model=model)).path == path


async def test_the_query_of_a_row_stands_beside_our_own(service: Loopback) -> None:
    path = (await sent(service, settings={"query": {"team": "support"}})).path

    assert set(path.partition("?")[2].split("&")) == {"alt=sse", "team=support"}


async def test_json_by_schema_is_asked_for(service: Loopback) -> None:
    schema = {"type": "object", "properties": {"reply": {"type": "string"}}}
    wish = Parameters(json=JsonSchema("reply", schema))

    config = (await sent(service, replace(QUESTION, parameters=wish))).json["generationConfig"]

    assert config == {"responseMimeType": "application/json", "responseJsonSchema": schema}


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("gemini-2.5-flash", "none", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "none", {"thinkingBudget": 128, "includeThoughts": True}),
        ("gemini-2.5-flash", "high", {"thinkingBudget": 24576, "includeThoughts": True}),
        ("gemini-3-flash", "none", {"thinkingLevel": "minimal", "includeThoughts": True}),
        ("gemini-3.1-pro", "minimal", {"thinkingLevel": "low", "includeThoughts": True}),
        ("gemini-3.1-pro", "high", {"thinkingLevel": "high", "includeThoughts": True}),
        ("gemini-2.0-flash", "high", None),
        ("gemma-3-27b-it", "high", None),
        ("gemini-3-flash", None, None),
    ],
)
async def test_each_generation_is_told_to_think_in_its_own_way(
    service: Loopback, model: str, effort: Any, thinking: Any
) -> None:
    wish = Parameters(reasoning_effort=effort, max_output_tokens=500)

    request = await sent(service, replace(QUESTION, parameters=wish), model=model)

    config = request.json["generationConfig"]
    assert config.get("thinkingConfig") == thinking
    assert config["maxOutputTokens"] == 500 + (thinking or {}).get("thinkingBudget", 0)


async def test_a_row_says_what_its_model_does_not_take(service: Loopback) -> None:
    wish = Parameters(presence_penalty=0.5, frequency_penalty=0.5, reasoning_effort="low", temperature=0.5)

    request = await sent(
        service,
        replace(QUESTION, parameters=wish),
        model="gemini-2.5-flash",
        traits=GeminiTraits(penalties=False, thinking="none"),
    )

    assert request.json["generationConfig"] == {"temperature": 0.5}


async def test_penalties_and_stop_words_stay_within_bounds(service: Loopback) -> None:
    wish = Parameters(presence_penalty=2.0, frequency_penalty=-2.0, stop=tuple("abcdefg"))

    config = (await sent(service, replace(QUESTION, parameters=wish))).json["generationConfig"]

    assert config == {
        "presencePenalty": 1.99,
        "frequencyPenalty": -2.0,
        "stopSequences": ["a", "b", "c", "d", "e"],
    }


@pytest.mark.parametrize(
    ("word", "finish"),
    [
        ("STOP", "stop"),
        ("MAX_TOKENS", "length"),
        ("SAFETY", "content_filter"),
        ("RECITATION", "content_filter"),
        ("SPII", "content_filter"),
        ("MODEL_ARMOR", "content_filter"),
    ],
)
async def test_finish_words_become_ours(service: Loopback, word: str, finish: str) -> None:
    answer = await heard(service, candidate({"text": "Hi"}, finishReason=word))

    assert (answer.finished.finish, answer.finished.finish_raw) == (finish, word)


@pytest.mark.parametrize("word", ["OTHER", "MALFORMED_FUNCTION_CALL", "NEWS"])
async def test_a_service_that_gives_up_reports_an_error(service: Loopback, word: str) -> None:
    usage = {"promptTokenCount": 9, "candidatesTokenCount": 1}

    answer = await heard(service, {**candidate({"text": "Ha"}, finishReason=word), "usageMetadata": usage})

    assert answer.text == "Ha"
    assert answer.error is not None
    assert (answer.error.kind, answer.error.code) == ("server", word)
    assert answer.error.usage.input_tokens == 9


async def test_an_unspecified_finish_is_none(service: Loopback) -> None:
    answer = await heard(
        service,
        candidate({"text": "Hi "}, finishReason="FINISH_REASON_UNSPECIFIED"),
        candidate({"text": "there"}, finishReason="STOP"),
    )

    assert (answer.text, answer.finished.finish) == ("Hi there", "stop")


async def test_thoughts_and_tool_results_are_counted(service: Loopback) -> None:
    usage = {
        "promptTokenCount": 10,
        "toolUsePromptTokenCount": 4,
        "cachedContentTokenCount": 6,
        "thoughtsTokenCount": 30,
        "candidatesTokenCount": 5,
    }

    answer = await heard(
        service,
        {"usageMetadata": {"promptTokenCount": 1}, **candidate({"text": "Hi", "thoughtSignature": "x"})},
        {**candidate({"text": "", "thoughtSignature": "x"}, finishReason="STOP"), "usageMetadata": usage},
    )

    assert answer.finished.usage == Usage(
        input_tokens=14, output_tokens=35, cached_input_tokens=6, reasoning_tokens=30, kind="exact"
    )


async def test_a_service_without_request_ids_is_known_by_its_answers(service: Loopback) -> None:
    answer = await heard(service, {**candidate({"text": "Hi"}, finishReason="STOP"), "responseId": "resp-9"})

    assert answer.finished.request_id == "resp-9"


async def test_a_blocked_prompt_in_one_piece_is_filtered(service: Loopback) -> None:
    service.answers(json_reply(200, {"promptFeedback": {"blockReason": "SAFETY"}}))
    provider = provider_at(service.url, "gemini")

    answer = await ask(provider, stream=False)
    await provider.aclose()

    assert (answer.finished.finish, answer.finished.finish_raw) == ("content_filter", "SAFETY")


def error(code: int, status: str, *details: object, message: str = "no") -> dict[str, object]:
    return {"error": {"code": code, "message": message, "status": status, "details": list(details)}}


@pytest.mark.parametrize(
    ("body", "kind", "wait_s"),
    [
        (error(400, "INVALID_ARGUMENT"), "invalid_request", None),
        (error(400, "INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"}), "auth", None),
        (
            error(
                400,
                "INVALID_ARGUMENT",
                message="The input token count (9) exceeds the maximum number of tokens allowed (8).",
            ),
            "context_length",
            None,
        ),
        (error(400, "FAILED_PRECONDITION"), "permission", None),
        (error(401, "UNAUTHENTICATED"), "auth", None),
        (error(403, "PERMISSION_DENIED"), "permission", None),
        (error(403, "PERMISSION_DENIED", {"reason": "BILLING_DISABLED"}), "quota", None),
        (error(404, "NOT_FOUND"), "not_found", None),
        (error(429, "RESOURCE_EXHAUSTED"), "rate_limit", None),
        (error(429, "RESOURCE_EXHAUSTED", {"retryDelay": "3.5s"}), "rate_limit", 3.5),
        (
            error(
                429,
                "RESOURCE_EXHAUSTED",
                {"violations": [{"quotaId": "GenerateRequestsPerMinute"}, {"quotaId": "TokensPerDay"}]},
                {"retryDelay": "32400s"},
            ),
            "quota",
            32400.0,
        ),
        (error(429, "RESOURCE_EXHAUSTED", {"retryDelay": "soon"}, "odd"), "rate_limit", None),
        (
            error(429, "RESOURCE_EXHAUSTED", {"violations": [{"quotaId": None}, 3]}, {"retryDelay": "5s"}),
            "rate_limit",
            5.0,
        ),
        (error(500, "INTERNAL"), "server", None),
        (error(503, "UNAVAILABLE"), "overloaded", None),
        (error(504, "DEADLINE_EXCEEDED"), "timeout", None),
        (error(429, "NEWS"), "rate_limit", None),
    ],
)
async def test_an_error_is_classed_in_an_answer_in_a_list_and_in_a_stream_alike(
    service: Loopback, body: Any, kind: str, wait_s: float | None
) -> None:
    status = body["error"]["code"]
    provider = provider_at(service.url, "gemini")
    for reply in (json_reply(status, body), json_reply(status, [body]), Reply(pieces=[sse(body)])):
        service.answers(reply)

        failed = (await ask(provider)).error

        assert failed is not None
        assert (failed.kind, failed.retry_after_s) == (kind, wait_s)
    await provider.aclose()


async def test_a_finish_reason_in_every_chunk_cuts_nothing_short(service: Loopback) -> None:
    usage = {"promptTokenCount": 5, "candidatesTokenCount": 1}
    chunks = [{**candidate({"text": word}, finishReason="STOP"), "usageMetadata": usage} for word in "abc"]

    answer = await heard(service, *chunks, {"usageMetadata": {**usage, "candidatesTokenCount": 3}})

    assert (answer.text, answer.finished.finish) == ("abc", "stop")
    assert answer.finished.usage == Usage(input_tokens=5, output_tokens=3, kind="exact")


async def test_an_error_may_stand_in_a_list_within_a_stream(service: Loopback) -> None:
    answer = await heard(service, candidate({"text": "Half"}), [error(503, "UNAVAILABLE")])

    assert answer.text == "Half"
    assert answer.error is not None
    assert answer.error.kind == "overloaded"


async def test_a_refused_key_gives_way_though_it_is_no_401(service: Loopback) -> None:
    refusal = json_reply(400, error(400, "INVALID_ARGUMENT", {"reason": "API_KEY_INVALID"}))
    service.answers(refusal, HELLO)
    provider = provider_at(service.url, "gemini", api_keys=(Secret("gk-1"), Secret("gk-2")))

    answers = [await ask(provider), await ask(provider)]
    await provider.aclose()

    assert [answer.text for answer in answers] == ["Hi", "Hi"]
    assert [one.headers["x-goog-api-key"] for one in service.requests] == ["gk-1", "gk-2", "gk-2"]
