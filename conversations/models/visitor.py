from django.db import models
from django.utils import timezone

from conversations.models.ids import IdField, new_id

ANONYMOUS = "anonymous"


class Visitor(models.Model):
    """A person chatting, known by a signed token. The row is made with the first stored message.

    `segment` is what sort of visitor that is, for budgets and reports: nobody has vouched for one who
    is `anonymous`.
    """

    id = IdField(primary_key=True, default=new_id, editable=False)
    segment = models.CharField(max_length=32, default=ANONYMOUS, db_default=ANONYMOUS)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.id
