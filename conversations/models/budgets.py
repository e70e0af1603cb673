from django.db import models
from django.utils import timezone

from conversations.models.assistant import Assistant
from conversations.models.completion import Completion


class BudgetScope(models.TextChoices):
    SITE = "site"
    ASSISTANT = "assistant"
    VISITOR = "visitor"


class BudgetPeriod(models.TextChoices):
    DAY = "day"
    MONTH = "month"


class Budget(models.Model):
    """A limit on what visitors' turns may cost in a day or a month (UTC).

    One of scope `visitor` holds for each visitor by itself: of `segment`, or of any where that is
    empty. From 95 % on turns go by `cheaper_route`, if there is one. `currency` is the budget
    currency at the time of writing; a budget in another one is not in force.
    """

    scope = models.CharField(max_length=16, choices=BudgetScope.choices)
    assistant = models.ForeignKey(Assistant, on_delete=models.PROTECT, null=True, blank=True)
    segment = models.CharField(max_length=32, blank=True)
    period = models.CharField(max_length=16, choices=BudgetPeriod.choices)
    limit_nanos = models.BigIntegerField()
    currency = models.CharField(max_length=3)
    cheaper_route = models.CharField(max_length=64, blank=True)
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                condition=models.Q(limit_nanos__gte=0), name="budget_limits_are_not_negative"
            ),
            models.CheckConstraint(
                condition=models.Q(scope="assistant", assistant__isnull=False)
                | (~models.Q(scope="assistant") & models.Q(assistant__isnull=True)),
                name="budgets_of_assistants_name_one",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.scope} a {self.period}"


class BudgetChange(models.Model):
    """Who changed a budget, and how: `before` (null: it was made) and `after` are its fields."""

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, related_name="changes")
    at = models.DateTimeField(default=timezone.now)
    by = models.CharField(max_length=150, blank=True)
    before = models.JSONField(null=True, blank=True)
    after = models.JSONField()

    def __str__(self) -> str:
        return f"{self.budget_id} at {self.at:%Y-%m-%d %H:%M}"


class BudgetSpend(models.Model):
    """What is taken of a budget in one period: what was settled and what is held.

    `subject` is the visitor's id for a budget that holds for each, else empty.
    """

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, db_index=False)
    subject = models.CharField(max_length=26, blank=True)
    period_start = models.DateField()
    spent_nanos = models.BigIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "subject", "period_start"], name="one_budget_spend_per_period"
            )
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.subject} {self.period_start}"


class Reservation(models.Model):
    """What one open hold keeps of a budget; gone once the hold is closed."""

    completion = models.ForeignKey(Completion, on_delete=models.PROTECT, db_index=False)
    spend = models.ForeignKey(BudgetSpend, on_delete=models.PROTECT, db_index=False)
    nanos = models.BigIntegerField()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["completion", "spend"], name="one_reservation_per_budget")
        ]

    def __str__(self) -> str:
        return f"{self.completion_id} {self.spend_id}"


class BudgetAlert(models.Model):
    """A budget came to `step` percent. One for each step and period, whoever's money it was."""

    budget = models.ForeignKey(Budget, on_delete=models.PROTECT, db_index=False)
    period_start = models.DateField()
    step = models.PositiveSmallIntegerField()
    subject = models.CharField(max_length=26, blank=True)
    spent_nanos = models.BigIntegerField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["budget", "period_start", "step"], name="one_alert_per_step_and_period"
            )
        ]

    def __str__(self) -> str:
        return f"{self.budget_id} {self.step} %"
