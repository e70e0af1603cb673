from django.db import models
from django.utils import timezone

from conversations.models.conversation import Conversation, Message


class ScreeningRule(models.Model):
    """What staff let look for: the fields of `moderation.rules.Rule`, of which `name` is the id.

    `word_list` is the list it came in with, or empty. A rule that was taken out keeps its row, for the
    verdicts that name it.
    """

    name = models.CharField(max_length=120)
    word_list = models.CharField(max_length=80, blank=True)
    kind = models.CharField(max_length=16)
    pattern = models.CharField(max_length=1000)
    action = models.CharField(max_length=8)
    stages = models.JSONField(default=list)
    boundary = models.CharField(max_length=8, default="word")
    spaced = models.BooleanField(default=False)
    exceptions = models.JSONField(default=list, blank=True)
    is_active = models.BooleanField(default=True)
    removed_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=models.Q(removed_at__isnull=True), name="one_rule_per_name"
            )
        ]
        indexes = [models.Index(fields=["word_list", "name"], name="rules_by_list")]

    def __str__(self) -> str:
        return self.name


class RuleChange(models.Model):
    """Who changed which rules: `before` and `after` are {name: fields}, each without those it has not.

    The highest id is the version of the rules that are in force.
    """

    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=150, blank=True)
    summary = models.CharField(max_length=200)
    before = models.JSONField(default=dict)
    after = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.summary


class VerdictSource(models.TextChoices):
    RULE = "rule"
    PROMPT = "prompt"  # the canary, or a sentence of the instructions
    PROVIDER = "provider"  # the service withdrew its own text
    OVERFLOW = "overflow"  # more was held back than any rule needs
    BROKEN = "broken"  # the screening itself failed
    ENDPOINT = "endpoint"  # a service's own moderation


class Decision(models.TextChoices):
    OPEN = ""
    UPHELD = "upheld"
    OVERTURNED = "overturned"


class Verdict(models.Model):
    """A finding, and what was done: `action` is a rule's, or `hide` where a review hid the message.

    `start` and `end` are places in the text as it was written; `withheld` is what of an answer a mask
    took out. `rule_name` is a rule's, or a category of a service.
    """

    at = models.DateTimeField(default=timezone.now)
    stage = models.CharField(max_length=8)
    source = models.CharField(max_length=16, choices=VerdictSource.choices, default=VerdictSource.RULE)
    rule = models.ForeignKey(ScreeningRule, on_delete=models.PROTECT, null=True, blank=True, db_index=False)
    rule_name = models.CharField(max_length=120, blank=True)
    action = models.CharField(max_length=8)
    conversation = models.ForeignKey(Conversation, on_delete=models.PROTECT, db_index=False)
    message = models.ForeignKey(Message, on_delete=models.PROTECT, related_name="verdicts")
    start = models.PositiveIntegerField(default=0)
    end = models.PositiveIntegerField(default=0)
    withheld = models.TextField(blank=True)
    decision = models.CharField(max_length=12, choices=Decision.choices, blank=True, default=Decision.OPEN)
    decided_by = models.CharField(max_length=150, blank=True)
    decided_at = models.DateTimeField(null=True, blank=True)
    note = models.CharField(max_length=500, blank=True)

    class Meta:
        indexes = [
            models.Index(fields=["-id"], condition=models.Q(decision=""), name="open_verdicts"),
            models.Index(fields=["rule", "decision"], name="verdicts_of_rule"),
        ]

    def __str__(self) -> str:
        return f"{self.rule_name or self.source} {self.action}"
