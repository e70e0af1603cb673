"""The chat page without a database, under a few addresses that differ in what the operator has set."""

from django.http import HttpRequest, HttpResponse
from django.urls import include, path

from conversations.pages.chat import ChatPage, shown

NORTHWIND = {"slug": "northwind", "name": "Northwind Assistant", "house": "Northwind"}


def page(request: HttpRequest) -> HttpResponse:
    """A shop with a privacy page and a service that answers."""
    privacy_url = "https://northwind.example/privacy"
    return shown(request, ChatPage(**NORTHWIND, privacy_url=privacy_url, is_local_model=False))


def plain(request: HttpRequest) -> HttpResponse:
    """A first start: no privacy page, and the small model on this machine."""
    return shown(request, ChatPage(**NORTHWIND, privacy_url="", is_local_model=True))


def harness(_: HttpRequest) -> HttpResponse:
    """An empty page for tests of single modules."""
    return HttpResponse("<!doctype html><title>Modules</title><link rel=icon href=/static/img/mark.svg>")


urlpatterns = [
    path("", page),
    path("plain/", plain),
    path("harness/", harness),
    path("language/", include("django.conf.urls.i18n")),
]
