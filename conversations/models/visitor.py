from django.db import models
from django.utils import timezone

from conversations.models.ids import IdField, new_id


class Visitor(models.Model):
    """A person chatting, known by a signed token. The row is made with the first stored message."""

    id = IdField(primary_key=True, default=new_id, editable=False)
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return self.id
