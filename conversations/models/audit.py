from django.db import models
from django.utils import timezone


class AuditEntry(models.Model):
    """Who did what to which thing, and from where. Rows never change.

    `kind` and `key` say what it was done to, and `label` how staff know it. `before` and `after` are what
    differs, null where there is nothing: never a secret, and never what was said in a conversation. `by`
    is empty where nobody is known; `origin` is an address, or `command`.
    """

    at = models.DateTimeField(default=timezone.now, db_index=True)
    by = models.CharField(max_length=150, blank=True)
    origin = models.CharField(max_length=64)
    verb = models.CharField(max_length=24)
    kind = models.CharField(max_length=24)
    key = models.CharField(max_length=64, blank=True)
    label = models.CharField(max_length=200, blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField(null=True, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["by", "-id"], name="audit_by_person"),
            models.Index(fields=["verb", "-id"], name="audit_by_verb"),
        ]

    def __str__(self) -> str:
        return f"{self.verb} {self.kind} {self.label}"
