"""The whole product under its supervisor, in the browser: real daphne, Redis, workers and model."""

import json
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.tabs import LOST_CONNECTION, Visitors
from tests.faults.database import Database
from tests.frame.site import Served, empty_database, eventually

pytestmark = pytest.mark.database

WORDS = [f"word{number} " for number in range(1, 121)]
TEXT = "".join(WORDS).strip()
CONFIG = """\
providers:
  scripted: {{kind: scripted, file: "{file}"}}
models:
  scripted: {{provider: scripted, model: scripted, max_output_tokens: 4000, context_tokens: 128000}}
routes:
  default: [scripted]
"""
ANSWER = ".message.assistant .answer"
CARET = ".caret"
SLOW_MS = 60_000  # the machine may be doing ten other things


@dataclass
class Site:
    """The product and what it stores."""

    served: Served
    database: Database

    def stored(self) -> list[tuple[str, str, str]]:
        """Return (role, status, text) of all messages, in order."""
        return [
            (role, status, text)
            for role, status, text in self.database.rows(
                "SELECT role, status, text FROM conversations_message ORDER BY conversation_id, position"
            )
        ]


def start(directory: Path, *words: str, **env: str) -> Site:
    database = empty_database(directory)
    limits = dict.fromkeys(
        ("LIMIT_TURNS_PER_MINUTE_VISITOR", "LIMIT_TURNS_PER_MINUTE_ADDRESS", "LIMIT_FRAMES_PER_10S"), "0"
    )
    return Site(Served(directory / "var", database.url, *words, **limits, **env).until_ready(), database)


def stop(site: Site) -> None:
    try:
        assert site.served.end(signal.SIGTERM) == 0
        assert site.served.left_over() == []
        assert "Traceback" not in site.served.said, site.served.said[-3000:]
    finally:
        site.served.close()
        site.database.drop()


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The product as `make run` starts it, with the small real model."""
    site = start(tmp_path_factory.mktemp("local"))
    yield site
    stop(site)


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The product with two web processes and a model that says TEXT in some six seconds."""
    directory = tmp_path_factory.mktemp("scripted")
    script = [line for word in WORDS for line in (word, {"wait_ms": 50})]
    script[-2] = script[-2].strip() if isinstance(script[-2], str) else script[-2]
    (directory / "scripts.json").write_text(json.dumps([[*script, {"finish": "stop"}]]))
    (directory / "config.yaml").write_text(CONFIG.format(file=directory / "scripts.json"))
    site = start(directory, "--workers", "2", CHATBOT_CONFIG=str(directory / "config.yaml"))
    yield site
    stop(site)


@pytest.fixture
def visitors(browser: Browser, scripted: Site) -> Iterator[Visitors]:
    """Visitors of the scripted site. The test fails if a tab of theirs complains."""
    expect.set_options(timeout=SLOW_MS)
    visitors = Visitors(browser, f"http://127.0.0.1:{scripted.served.port}")
    yield visitors
    visitors.close()
    assert visitors.watch.unexpected() == []


def ask(page: Page, text: str) -> None:
    page.get_by_role("textbox", name="Message").fill(text)
    page.keyboard.press("Enter")


def shown(page: Page) -> str:
    """Return what the last answer shows."""
    return (page.locator(ANSWER).last.text_content() or "").strip()


def wait_for_share(page: Page, share: float) -> None:
    """Wait until this share of TEXT is shown."""
    page.wait_for_function(
        "([answer, length]) => [...document.querySelectorAll(answer)].at(-1)?.textContent.length >= length",
        arg=[ANSWER, int(len(TEXT) * share)],
        timeout=SLOW_MS,
    )


def wait_for_end(page: Page, text: str = TEXT) -> None:
    """Wait until the last answer is whole, and nothing runs."""
    expect(page.locator(ANSWER).last).to_have_text(text)
    expect(page.get_by_role("button", name="Copy").last).to_be_attached()


def mine(site: Site, question: str) -> list[tuple[str, str, str]]:
    """Return what is stored of the conversation that this question opened."""
    return [
        (role, status, text)
        for role, status, text in site.database.rows(
            "SELECT m.role, m.status, m.text FROM conversations_message m"
            " JOIN conversations_conversation c ON c.id = m.conversation_id"
            f" WHERE c.title = '{question}' ORDER BY m.position"
        )
    ]


def test_a_starter_question_gets_a_sensible_answer_from_the_real_model(browser: Browser, local: Site) -> None:
    expect.set_options(timeout=SLOW_MS)
    visitors = Visitors(browser, f"http://127.0.0.1:{local.served.port}")
    page = visitors.arrive()
    expect(page.get_by_text("A small demonstration model is answering")).to_be_visible()

    page.get_by_role("button", name="How long does delivery take?").click()
    expect(page.get_by_role("button", name="Copy").last).to_be_attached()

    [(_, _, question), (role, status, answer)] = local.stored()
    assert (question, role, status) == ("How long does delivery take?", "assistant", "final")
    assert shown(page) == answer.strip()
    assert "3 to 5 working days" in answer
    [(kind, model)] = local.database.rows("SELECT usage_kind, provider FROM conversations_completion")
    assert (kind, model) == ("exact", "local")
    eventually(
        lambda: local.database.rows("SELECT turns FROM conversations_hourlycounter") == [(1,)] or None,
        "the worker to count the turn",
    )
    visitors.close()
    assert visitors.watch.unexpected() == []


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_a_reload_in_mid_answer_loses_nothing(visitors: Visitors, scripted: Site, share: float) -> None:
    page = visitors.arrive()
    question = f"reload at {share}"
    ask(page, question)
    wait_for_share(page, share)

    page.reload()

    wait_for_share(page, share)
    wait_for_end(page)
    assert mine(scripted, question) == [("visitor", "final", question), ("assistant", "final", TEXT)]


def test_two_tabs_show_the_same_answer(visitors: Visitors, scripted: Site) -> None:
    page = visitors.arrive()
    ask(page, "two tabs")
    wait_for_share(page, 0.2)

    other = page.context.new_page()
    other.goto("/")
    wait_for_end(other)

    wait_for_end(page)
    assert shown(page) == shown(other) == mine(scripted, "two tabs")[-1][2]


def test_a_stopped_answer_keeps_what_was_shown_and_can_be_asked_for_again(
    visitors: Visitors, scripted: Site
) -> None:
    page = visitors.arrive()
    ask(page, "stop here")
    wait_for_share(page, 0.2)

    page.get_by_role("button", name="Stop").click()
    expect(page.get_by_role("article").get_by_text("You stopped this answer.")).to_be_visible()
    kept = shown(page)
    [_, (_, status, text)] = mine(scripted, "stop here")
    assert (status, text.strip()) == ("stopped", kept)
    assert 0 < len(kept) < len(TEXT)

    page.get_by_role("button", name="Answer again").last.click()
    wait_for_end(page)
    assert [(status, text) for _, status, text in mine(scripted, "stop here")[1:]] == [
        ("stopped", text),
        ("final", TEXT),
    ]


def test_what_was_typed_offline_is_sent_once(visitors: Visitors, scripted: Site) -> None:
    visitors.watch.allow(LOST_CONNECTION)
    page = visitors.arrive()
    expect(page.get_by_role("button", name="How long does delivery take?")).to_be_visible()
    page.context.set_offline(True)
    ask(page, "typed offline")
    expect(page.locator(".connection")).to_have_text("You are offline. Your messages are kept here.")

    page.context.set_offline(False)

    wait_for_end(page)
    assert mine(scripted, "typed offline") == [
        ("visitor", "final", "typed offline"),
        ("assistant", "final", TEXT),
    ]


def test_an_answer_goes_on_when_its_socket_moves_to_another_process(
    visitors: Visitors, scripted: Site
) -> None:
    visitors.watch.allow(LOST_CONNECTION)
    page = visitors.arrive()
    ask(page, "move on")
    wait_for_share(page, 0.2)
    before = {process.pid for process in webs(scripted)}

    holder = next(process for process in webs(scripted) if holds_a_socket(process, scripted.served.port))
    holder.send_signal(signal.SIGTERM)

    wait_for_end(page)
    assert mine(scripted, "move on") == [("visitor", "final", "move on"), ("assistant", "final", TEXT)]
    expect(page.get_by_role("article").get_by_text("The answer was cut off.")).to_have_count(0)
    eventually(lambda: {each.pid for each in webs(scripted)} - before or None, "another web process")


def webs(site: Site) -> list[psutil.Process]:
    """Return the web processes that run."""
    children = psutil.Process(site.served.process.pid).children()
    return [each for each in children if "manage.py web" in command(each)]


def command(process: psutil.Process) -> str:
    """Return a process's command; nothing of one that has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


def holds_a_socket(process: psutil.Process, port: int) -> bool:
    """Say whether a browser is connected to it."""
    return any(
        each.status == psutil.CONN_ESTABLISHED and each.laddr and each.laddr.port == port
        for each in process.net_connections(kind="tcp")
    )
