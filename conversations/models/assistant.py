from typing import Any

from django.db import models
from django.utils import timezone


class Assistant(models.Model):
    """A configured bot. What it says travels in its prompt versions; `live_version` is the one in use."""

    slug = models.SlugField(unique=True)
    name = models.CharField(max_length=80)
    house = models.CharField(max_length=80, help_text="Whose assistant it is: the name above the chat.")
    languages = models.JSONField(
        default=list, help_text='Locales, the preferred one first: ["en", "zh-hans"].'
    )
    privacy_url = models.URLField(blank=True)
    is_default = models.BooleanField(default=False)
    live_version = models.ForeignKey(
        "PromptVersion", on_delete=models.PROTECT, null=True, blank=True, related_name="+"
    )
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["is_default"], condition=models.Q(is_default=True), name="one_default_assistant"
            )
        ]

    def __str__(self) -> str:
        return self.name


class PromptVersion(models.Model):
    """What an assistant says and how, as one immutable whole.

    `greeting` is {locale: text}, `starters` {locale: [text, …]}, `fallback` {locale: sentence};
    `parameters` holds fields of `providers.messages.Parameters`. The window is limited by
    `window_exchanges` and by `window_percent` of the model's context, whichever is less.
    """

    assistant = models.ForeignKey(Assistant, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    instructions = models.TextField()
    route = models.CharField(max_length=64, default="default")
    parameters = models.JSONField(default=dict, blank=True)
    window_exchanges = models.PositiveSmallIntegerField(default=20)
    window_percent = models.PositiveSmallIntegerField(default=60)
    greeting = models.JSONField(default=dict, blank=True)
    starters = models.JSONField(default=dict, blank=True)
    fallback = models.JSONField(default=dict, blank=True)
    tone = models.CharField(max_length=32, blank=True)
    note = models.CharField(max_length=200, blank=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["assistant", "number"], name="one_version_per_number"),
            models.CheckConstraint(
                condition=models.Q(window_exchanges__gte=1, window_percent__gte=1, window_percent__lte=90),
                name="window_within_bounds",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.assistant_id} v{self.number}"

    @staticmethod
    def known(version_id: int) -> "PromptVersion":
        """Return a version. It never changes, so each process reads it once."""
        version = _known.get(version_id)
        if version is None:
            if len(_known) >= _MAX_KNOWN:
                _known.clear()
            version = _known[version_id] = PromptVersion.objects.get(pk=version_id)
        return version

    @staticmethod
    def remembered(version_id: int) -> "PromptVersion | None":
        """Return a version this process has read before, without asking the database."""
        return _known.get(version_id)

    @staticmethod
    def forget() -> None:
        """Read every version anew: tests begin their numbers again."""
        _known.clear()

    def said_in(self, texts: dict[str, Any], locale: str, default: Any) -> Any:
        """Return what `texts` (greeting, starters or fallback) says in `locale`, else in any language."""
        return texts.get(locale) or texts.get("en") or next(iter(texts.values()), default)


_MAX_KNOWN = 256
_known: dict[int, PromptVersion] = {}
