"""Everything a tab shows, read in one go."""

from dataclasses import dataclass

from django.conf import settings

from conversations import access, assistants, lifecycle, transcript
from conversations.events import ConversationView
from conversations.frames import outgoing
from conversations.live import Live
from conversations.models import Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What the database says of a visitor's place; `turn` is the unfinished one."""

    visitor_id: str
    slug: str
    name: str
    greeting: str
    starters: list[str]
    conversation: ConversationView | None
    page: transcript.Page
    turn: Turn | None

    def ready(self, live: Live) -> outgoing.Ready:
        """Join it with what has been shown of the running answer by now."""
        turn: outgoing.RunningTurn | None = None
        if self.turn is not None:
            shown = live.shown(self.turn.id)
            turn = outgoing.RunningTurn(
                id=self.turn.id,
                message_id=self.turn.message_id,
                position=(shown and shown.position) or self.turn.position,
                replaces=self.turn.replaces_id,
                text=shown.text if shown else "",
            )
        return outgoing.Ready(
            visitor_id=self.visitor_id,
            token=access.visitor_token(self.visitor_id),
            slug=self.slug,
            name=self.name,
            greeting=self.greeting,
            starters=self.starters,
            message_max_chars=settings.MESSAGE_MAX_CHARS,
            conversation=self.conversation,
            messages=self.page.items,
            more=self.page.more,
            turn=turn,
        )


def read_place(visitor_id: str, slug: str, conversation_id: str | None, locale: str) -> Place:
    """Read it; a synchronous function for a database thread."""
    assistant = assistants.find(slug)
    version = assistant.live_version
    assert version is not None
    conversation, page, turn = None, transcript.Page([], False), None
    if conversation_id is not None:
        conversation = transcript.head(transcript.conversation_of(visitor_id, assistant.pk, conversation_id))
        turn = lifecycle.unfinished(conversation_id)  # before the messages: an end in between shows in both
        page = transcript.page(conversation_id)
    return Place(
        visitor_id=visitor_id,
        slug=assistant.slug,
        name=assistant.name,
        greeting=version.said_in(version.greeting, locale, ""),
        starters=version.said_in(version.starters, locale, []),
        conversation=conversation,
        page=page,
        turn=turn,
    )
