"""How templates write nano-units."""

from django import template

from conversations import prices

register = template.Library()


@register.filter
def units(nanos: int | None) -> str:
    """Write nano-units exactly, `0.25`; a dash for None."""
    return "–" if nanos is None else prices.words(nanos)
