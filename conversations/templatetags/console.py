"""How the console writes sentences, and which ways it shows."""

from django import template
from django.contrib.auth.models import AbstractBaseUser, AnonymousUser
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

from conversations import rights
from conversations.rights import Right

register = template.Library()


@register.filter
def may_read_records(user: AbstractBaseUser | AnonymousUser) -> bool:
    """Say whether to show a way into the tables."""
    return rights.may(user, Right.READ_RECORDS)


@register.filter
def code_words(sentence: str) -> SafeString:
    """Set what stands in backticks as code; everything is escaped."""
    return SafeString(
        "".join(
            format_html("<code>{}</code>", part) if index % 2 else escape(part)
            for index, part in enumerate(sentence.split("`"))
        )
    )
