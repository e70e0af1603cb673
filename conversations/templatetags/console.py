"""How the console writes sentences."""

from django import template
from django.utils.html import escape, format_html
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def code_words(sentence: str) -> SafeString:
    """Set what stands in backticks as code; everything is escaped."""
    return SafeString(
        "".join(
            format_html("<code>{}</code>", part) if index % 2 else escape(part)
            for index, part in enumerate(sentence.split("`"))
        )
    )
