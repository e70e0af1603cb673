"""Addresses. /livez, /readyz and /metrics are answered by probes.py, the socket by asgi.py."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path
from django.views.generic import RedirectView

from conversations.pages import audit, chat, console, signin, turn
from conversations.pages.money import behind, editing, usage

urlpatterns: list[URLPattern | URLResolver] = [
    path("", chat.chat, name="home"),
    path("chat/<slug:slug>/", chat.chat, name="chat"),
    path("console/", console.front, name="console"),
    path("console/audit/", audit.audit, name="audit"),
    path("console/turns/<str:key>/", turn.turn, name="turn"),
    path("console/money/", usage.usage, name="money"),
    path("console/money/calls/", behind.calls, name="money-calls"),
    path("console/money/export.csv", behind.export, name="money-csv"),
    path("console/money/statement/<str:month>/", behind.statement, name="money-statement"),
    path("console/money/budgets/", editing.edit_budgets, name="money-budgets"),
    path("console/money/budgets/<int:pk>/", editing.edit_budgets, name="money-budget"),
    path("console/money/prices/", editing.edit_prices, name="money-prices"),
    path("console/money/rates/", editing.edit_rates, name="money-rates"),
    path("console/moderation/", include("conversations.pages.moderation.urls")),
    path("accounts/login/", signin.SignInView.as_view(), name="login"),
    path("accounts/logout/", signin.SignOutView.as_view(), name="logout"),
    path("language/", include("django.conf.urls.i18n")),
    path("admin/login/", RedirectView.as_view(pattern_name="login", query_string=True)),
    path("admin/", admin.site.urls),
]
