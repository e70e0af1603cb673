"""Addresses. /livez, /readyz and /metrics are answered by probes.py, the socket by asgi.py."""

from django.contrib import admin
from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("admin/", admin.site.urls),
    path("language/", include("django.conf.urls.i18n")),
]
