from django.db import models
from django.utils import timezone

from conversations.models.ids import IdField, new_id
from conversations.models.turn import Turn


class CompletionStatus(models.TextChoices):
    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Completion(models.Model):
    """One attempt at one target, written before its request.

    `turn` is null for what no visitor asked (tests from the terminal). Counts of None are unknown,
    `usage_kind` says whether the others are exact or estimated; the billed ones are None
    where all that is used is billed. `error` is an ErrorKind or empty, `error_code` the service's own
    word for it, or ours where we did not ask (`resting`: open breaker).
    """

    id = IdField(primary_key=True, default=new_id, editable=False)
    turn = models.ForeignKey(
        Turn, on_delete=models.PROTECT, null=True, blank=True, related_name="completions", db_index=False
    )
    number = models.PositiveSmallIntegerField()
    route = models.CharField(max_length=64)
    target = models.CharField(max_length=64)
    provider = models.CharField(max_length=64)
    model = models.CharField(max_length=128)
    status = models.CharField(
        max_length=16, choices=CompletionStatus.choices, default=CompletionStatus.RUNNING
    )
    finish = models.CharField(max_length=16, blank=True)
    error = models.CharField(max_length=32, blank=True)
    error_code = models.CharField(max_length=64, blank=True)
    request_id = models.CharField(max_length=128, blank=True)
    input_tokens = models.PositiveIntegerField(null=True, blank=True)
    output_tokens = models.PositiveIntegerField(null=True, blank=True)
    cached_input_tokens = models.PositiveIntegerField(null=True, blank=True)
    reasoning_tokens = models.PositiveIntegerField(null=True, blank=True)
    billed_input_tokens = models.PositiveIntegerField(null=True, blank=True)
    billed_output_tokens = models.PositiveIntegerField(null=True, blank=True)
    usage_kind = models.CharField(max_length=16, default="unknown")
    started_at = models.DateTimeField(default=timezone.now)
    first_delta_ms = models.PositiveIntegerField(null=True, blank=True)
    total_ms = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["turn", "number"], name="one_completion_per_number"),
        ]
        indexes = [models.Index(fields=["-started_at"], name="completions_by_age")]

    def __str__(self) -> str:
        return f"{self.turn_id} #{self.number}"


class HistoryWindow(models.Model):
    """Exactly what one completion showed the model.

    `system` is the rendered system text, `sent` the positions of the messages sent, oldest first;
    `dropped` says what was left out and why: [{"from", "to", "reason"}, …] in positions, both ends
    included. `hmac`, keyed with `salt`, covers the whole request; `parameters` are those it carried.
    `hidden` says which passages stand as placeholders: {position: [[start, end, placeholder], …]}.
    `input_tokens` is the count the window was cut by; `is_exact`: it came from the vocabulary.
    """

    completion = models.OneToOneField(
        Completion, on_delete=models.PROTECT, primary_key=True, related_name="window"
    )
    system = models.TextField()
    sent = models.JSONField()
    dropped = models.JSONField(default=list)
    hidden = models.JSONField(default=dict)
    parameters = models.JSONField(default=dict)
    input_tokens = models.PositiveIntegerField()
    is_exact = models.BooleanField(default=False)
    limit_tokens = models.PositiveIntegerField()
    salt = models.CharField(max_length=32)
    hmac = models.CharField(max_length=64)

    def __str__(self) -> str:
        return self.completion_id
