"""Addresses. /livez, /readyz and /metrics are answered by probes.py, the socket by asgi.py."""

from django.contrib import admin
from django.contrib.auth.views import LogoutView
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from conversations.pages import chat, console, signin

urlpatterns: list[URLPattern | URLResolver] = [
    path("", chat.chat, name="home"),
    path("chat/<slug:slug>/", chat.chat, name="chat"),
    path("console/", console.front, name="console"),
    path("accounts/login/", signin.SignInView.as_view(), name="login"),
    path("accounts/logout/", LogoutView.as_view(), name="logout"),
    path("language/", include("django.conf.urls.i18n")),
    path("admin/login/", RedirectView.as_view(pattern_name="login", query_string=True)),
    path("admin/", admin.site.urls),
]
