"""The visitor's page. Everything personal comes by the socket: the page itself is the same for all."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.templatetags.static import static
from django.utils.translation import get_language, get_language_info
from django.views.decorators.http import require_safe

from chatbot import config
from conversations import assistants
from conversations.errors import NotFoundError
from conversations.pages.modules import modules_of

SOCKET_PATH = "/ws/chat/"
START = "js/chat.js"


@dataclass(frozen=True, slots=True)
class Language:
    """A language of the page, by its own name."""

    code: str
    name: str
    is_current: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatPage:
    """What the template is told. `privacy_url` is empty where the operator has no such page."""

    slug: str
    name: str
    house: str
    privacy_url: str
    is_local_model: bool
    socket_path: str = SOCKET_PATH

    @property
    def languages(self) -> Sequence[Language]:
        """The languages one can switch to, the current one among them."""
        current = get_language()
        return [
            Language(code, get_language_info(code)["name_local"], code == current)
            for code, _ in settings.LANGUAGES
        ]

    @property
    def words_url(self) -> str:
        """The address of the module with the sentences in the current language."""
        return static(f"js/strings/{get_language()}.js")

    @property
    def module_urls(self) -> Sequence[str]:
        """The addresses of all modules the page will need."""
        return [self.words_url, *(static(name) for name in modules_of(START))]


@require_safe
def chat(request: HttpRequest, slug: str | None = None) -> HttpResponse:
    """Show the page of an assistant, or of the default one."""
    try:
        assistant = assistants.find(slug)
    except NotFoundError as error:
        raise Http404(str(error)) from error
    version = assistant.live_version
    page = ChatPage(
        slug=assistant.slug,
        name=assistant.name,
        house=assistant.house,
        privacy_url=assistant.privacy_url,
        is_local_model=version is not None and is_answered_locally(version.route),
    )
    return shown(request, page)


def shown(request: HttpRequest, page: ChatPage) -> HttpResponse:
    """Render the page."""
    return render(request, "chat/chat.html", {"page": page})


@lru_cache(maxsize=64)
def is_answered_locally(route: str) -> bool:
    """Whether the model on this machine answers: nothing else is configured for the route."""
    known = config.load(settings.CONFIG_FILE, os.environ)
    row = known.routes.get(route) or known.routes.get("default")
    return row is not None and known.steps(row) == (((config.LOCAL, 1.0),),)
