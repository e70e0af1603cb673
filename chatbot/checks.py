"""System checks: what would fail, or be unsafe, later. Each has a number and a hint."""

import ipaddress
import os
import stat
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register

from chatbot import config


@register(Tags.security)
def secret_key_is_private(**_about: Any) -> list[CheckMessage]:
    """W001: others on this machine can read the secret key."""
    try:
        mode = settings.SECRET_KEY_FILE.stat().st_mode
    except OSError:
        return []
    if not mode & (stat.S_IRWXG | stat.S_IRWXO):
        return []
    return [
        Warning(
            f"`{settings.SECRET_KEY_FILE}` can be read by others on this machine.",
            hint=f"Run chmod 600 {settings.SECRET_KEY_FILE}.",
            id="chatbot.W001",
        )
    ]


@register(Tags.security)
def proxies_are_not_everybody(**_about: Any) -> list[CheckMessage]:
    """W002: with everybody a trusted proxy, each visitor may name an address of his own."""
    everybody = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))
    if not any(network in everybody for network in settings.TRUSTED_PROXIES):
        return []
    return [
        Warning(
            "`TRUSTED_PROXIES` trusts everybody, so limits per address do not hold.",
            hint="Name the addresses of your proxies only, such as 127.0.0.1, 10.0.0.0/8.",
            id="chatbot.W002",
        )
    ]


@register(Tags.security)
def hosts_are_named(**_about: Any) -> list[CheckMessage]:
    """W003: with every Host allowed, a foreign name that points here is taken for ours."""
    if "*" not in settings.ALLOWED_HOSTS:
        return []
    return [
        Warning(
            "`ALLOWED_HOSTS` allows every name, so a foreign page can pass for one of ours.",
            hint="Name the hosts visitors use, or set PUBLIC_URL and leave ALLOWED_HOSTS unset.",
            id="chatbot.W003",
        )
    ]


@register(Tags.security)
def metrics_token_is_long(**_about: Any) -> list[CheckMessage]:
    """W004: a token that can be tried out."""
    if not settings.METRICS_TOKEN or len(settings.METRICS_TOKEN) >= 16:
        return []
    return [
        Warning(
            "`METRICS_TOKEN` is shorter than 16 characters.",
            hint="Give a long random one: python -c 'import secrets; print(secrets.token_urlsafe(24))'.",
            id="chatbot.W004",
        )
    ]


@register(Tags.security)
def debug_is_not_public(**_about: Any) -> list[CheckMessage]:
    """E001: error pages with source code and settings, for everybody."""
    if not settings.DEBUG or not settings.PUBLIC_URL:
        return []
    return [
        Error(
            "`DEBUG` is on while `PUBLIC_URL` is set: error pages would show source code to visitors.",
            hint="Set DEBUG=false.",
            id="chatbot.E001",
        )
    ]


@register("config")
def config_can_be_used(**_about: Any) -> list[CheckMessage]:
    """E002: config.yaml has mistakes. W006: a route of it has no model that could answer."""
    try:
        found = config.load(settings.CONFIG_FILE, os.environ)
    except config.ConfigError as error:
        return [
            Error(sentence, hint=f"Correct {settings.CONFIG_FILE.name} and start again.", id="chatbot.E002")
            for sentence in error.mistakes
        ]
    return [
        Warning(
            f"Route `{name}` has no usable model.",
            hint="Set a key for one of its steps in config.yaml, or add `local` as its last step.",
            id="chatbot.W006",
        )
        for name, route in found.routes.items()
        if not found.steps(route)
    ]


@register(Tags.security, deploy=True)
def public_address_is_https(**_about: Any) -> list[CheckMessage]:
    """W005 (with --deploy): cookies and chats travel in the clear."""
    if settings.IS_PUBLIC_HTTPS:
        return []
    return [
        Warning(
            "`PUBLIC_URL` is not an https address, so cookies are not marked secure.",
            hint="Set PUBLIC_URL=https://… to the address visitors use, and end TLS in a proxy before us.",
            id="chatbot.W005",
        )
    ]
