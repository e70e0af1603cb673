"""The chat page as the server sends it."""

import re
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from chatbot import assets
from conversations.models import Assistant
from conversations.pages import chat


@pytest.fixture(autouse=True)
def fresh_config(settings: Settings, tmp_path: Path) -> Path:
    """A config.yaml of this test's own, in which nothing but the local model is configured."""
    path = tmp_path / "config.yaml"
    path.write_text("routes: {default: [local]}\n")
    settings.CONFIG_FILE = path
    chat.is_answered_locally.cache_clear()
    return path


def test_the_default_assistant_is_at_the_root_and_each_at_its_own_address(
    client: Client, northwind: Assistant
) -> None:
    for address in ("/", "/chat/northwind/"):
        page = client.get(address).content.decode()

        assert "<title>Northwind</title>" in page
        assert 'data-assistant="northwind"' in page
        assert 'data-socket="/ws/chat/"' in page


def test_an_unknown_assistant_is_not_found(client: Client, northwind: Assistant) -> None:
    assert client.get("/chat/southwind/").status_code == 404


def test_the_policy_allows_the_import_map_and_no_other_inline_script(
    client: Client, northwind: Assistant
) -> None:
    response = client.get("/")

    policy = response.headers["Content-Security-Policy"]
    page = response.content.decode()
    nonce = re.search(r"script-src 'self' 'nonce-([^']+)'", policy)
    assert nonce is not None
    assert f'<script type="importmap" nonce="{nonce[1]}">' in page
    assert "unsafe" not in policy
    assert len(re.findall(r"<script(?![^>]*\bsrc=)", page)) == 1
    assert not re.search(r"\sstyle=|\son\w+=|<style", page)


def test_every_file_the_page_names_is_there(client: Client, northwind: Assistant) -> None:
    page = client.get("/").content.decode()

    names = {assets.VERSIONED.sub("", each) for each in re.findall(r"/static/([^\"]+)", page)}

    assert {"js/chat.js", "js/timeline.js", "js/strings/en.js", "css/tokens.css", "img/mark.svg"} <= names
    assert names <= assets.files().keys()


def test_the_words_are_those_of_the_visitors_language(client: Client, northwind: Assistant) -> None:
    page = client.get("/", headers={"Accept-Language": "zh-CN,zh;q=0.9"}).content.decode()

    assert '<html lang="zh-hans">' in page
    assert "您正在与 AI 对话，回答可能有误。" in page
    assert re.search(r'{"words": "/static/[^"]*js/strings/zh-hans\.js"}', page)


def test_a_small_local_model_is_announced(client: Client, northwind: Assistant, fresh_config: Path) -> None:
    assert "A small demonstration model is answering" in client.get("/").content.decode()

    fresh_config.write_text(
        """
        providers: {house: {kind: openai, base_url: "http://127.0.0.1:1/v1", api_key: k}}
        models: {quick: {provider: house, model: m, max_output_tokens: 100, context_tokens: 1000}}
        routes: {default: [quick, local]}
        """
    )
    chat.is_answered_locally.cache_clear()

    assert "demonstration" not in client.get("/").content.decode()


def test_the_page_is_read_once_from_the_database(
    client: Client, northwind: Assistant, django_assert_num_queries: object
) -> None:
    with django_assert_num_queries(1):  # type: ignore[operator]  # a fixture without a type
        client.get("/")
