from django.db import models
from django.utils import timezone

from conversations.models.assistant import PromptVersion
from conversations.models.conversation import Conversation
from conversations.models.ids import IdField, new_id
from conversations.models.visitor import Visitor


class TurnStatus(models.TextChoices):
    QUEUED = "queued"
    RUNNING = "running"
    COMPLETED = "completed"
    STOPPED = "stopped"
    INTERRUPTED = "interrupted"
    FAILED = "failed"
    BLOCKED = "blocked"


UNFINISHED = (TurnStatus.QUEUED, TurnStatus.RUNNING)


class Turn(models.Model):
    """What the assistant does about the visitor messages that no earlier turn answered.

    It answers the visitor messages after position `after` up to `through`. `generation` grows with
    every restart (a burst) and every change of process; whoever writes with an older one has lost
    the turn. `position`, the answer's, is null until something is visible.
    """

    id = IdField(primary_key=True, default=new_id, editable=False)
    conversation = models.ForeignKey(Conversation, on_delete=models.PROTECT, related_name="turns")
    visitor = models.ForeignKey(Visitor, on_delete=models.PROTECT, db_index=False)
    version = models.ForeignKey(PromptVersion, on_delete=models.PROTECT, db_index=False)
    message_id = IdField(unique=True, default=new_id)
    replaces = models.ForeignKey(
        "Message", on_delete=models.PROTECT, null=True, blank=True, related_name="+", db_index=False
    )
    after = models.PositiveIntegerField()
    through = models.PositiveIntegerField()
    position = models.PositiveIntegerField(null=True, blank=True)
    status = models.CharField(max_length=16, choices=TurnStatus.choices, default=TurnStatus.RUNNING)
    generation = models.PositiveIntegerField(default=1)
    takeovers = models.PositiveSmallIntegerField(default=0)
    process = models.CharField(max_length=64, blank=True)
    beat_at = models.DateTimeField(default=timezone.now)
    stop_requested = models.BooleanField(default=False)
    error = models.CharField(max_length=32, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    visible_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    first_delta_ms = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["conversation"],
                condition=models.Q(status__in=["queued", "running"]),
                name="one_running_turn_per_conversation",
            ),
            models.CheckConstraint(
                condition=models.Q(status__in=["queued", "running"], finished_at__isnull=True)
                | (~models.Q(status__in=["queued", "running"]) & models.Q(finished_at__isnull=False)),
                name="ended_turns_have_an_end",
            ),
        ]
        indexes = [
            models.Index(
                fields=["visitor"],
                condition=models.Q(status__in=["queued", "running"]),
                name="unfinished_turns_of_visitor",
            ),
            models.Index(
                fields=["beat_at"],
                condition=models.Q(status__in=["queued", "running"]),
                name="unfinished_turns_by_beat",
            ),
            models.Index(fields=["-created_at"], name="turns_by_age"),
        ]

    def __str__(self) -> str:
        return self.id
