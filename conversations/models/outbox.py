from django.db import models
from django.utils import timezone


class OutboxEntry(models.Model):
    """A task that must run after something was committed; written in the same transaction.

    `key` is the id the task takes. `done_at` is set by the task itself, in the transaction of its
    effect, so that it happens once however often the task is sent.
    """

    task = models.CharField(max_length=64)
    key = models.CharField(max_length=64)
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True, blank=True)
    done_at = models.DateTimeField(null=True, blank=True)
    attempts = models.PositiveSmallIntegerField(default=0)

    class Meta:
        verbose_name_plural = "outbox entries"
        constraints = [models.UniqueConstraint(fields=["task", "key"], name="one_outbox_entry_per_task")]
        indexes = [
            models.Index(
                fields=["created_at"], condition=models.Q(done_at__isnull=True), name="outbox_not_done"
            )
        ]

    def __str__(self) -> str:
        return f"{self.task} {self.key}"
