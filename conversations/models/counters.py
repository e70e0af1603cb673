from django.db import models

from conversations.models.assistant import Assistant


class HourlyCounter(models.Model):
    """What one model did for one assistant by one route in one hour (UTC).

    Turns are counted where they ended: at the model that was asked last, or at "" when none was.
    Attempts, their errors {ErrorKind: count} and tokens are counted at the model that was asked.
    `unknown_usage` counts the attempts whose tokens are not known and so not in the sums, `resting`
    those that an open breaker refused; times of attempts are of those that left the house. The
    buckets are counts by `counters.BOUNDS_MS`, the last one for everything above.
    """

    hour = models.DateTimeField()
    assistant = models.ForeignKey(Assistant, on_delete=models.PROTECT, db_index=False)
    route = models.CharField(max_length=64)
    provider = models.CharField(max_length=64, blank=True)
    model = models.CharField(max_length=128, blank=True)

    conversations = models.PositiveIntegerField(default=0)
    turns = models.PositiveIntegerField(default=0)
    completed = models.PositiveIntegerField(default=0)
    stopped = models.PositiveIntegerField(default=0)
    interrupted = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    blocked = models.PositiveIntegerField(default=0)

    attempts = models.PositiveIntegerField(default=0)
    errors = models.JSONField(default=dict)
    input_tokens = models.PositiveBigIntegerField(default=0)
    output_tokens = models.PositiveBigIntegerField(default=0)
    unknown_usage = models.PositiveIntegerField(default=0)
    resting = models.PositiveIntegerField(default=0)
    attempt_first_delta_ms = models.PositiveBigIntegerField(default=0)
    attempt_first_delta_buckets = models.JSONField(default=list)
    attempt_ms = models.PositiveBigIntegerField(default=0)
    attempt_buckets = models.JSONField(default=list)

    first_delta_ms = models.PositiveBigIntegerField(default=0)
    first_delta_buckets = models.JSONField(default=list)
    duration_ms = models.PositiveBigIntegerField(default=0)
    duration_buckets = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["hour", "assistant", "route", "provider", "model"], name="one_counter_per_hour"
            )
        ]

    def __str__(self) -> str:
        return f"{self.hour:%Y-%m-%d %H} {self.route} {self.model}"
