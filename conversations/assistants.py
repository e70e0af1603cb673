"""Which assistant answers."""

from conversations.errors import NotFoundError
from conversations.models import Assistant


def find(slug: str | None) -> Assistant:
    """Return the assistant of this slug, or the default one; it has a live version. Else NotFoundError."""
    rows = Assistant.objects.filter(live_version__isnull=False).select_related("live_version")
    row = rows.filter(slug=slug).first() if slug else rows.filter(is_default=True).first()
    if row is None:
        raise NotFoundError("There is no such assistant.")
    return row
