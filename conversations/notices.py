"""Notices from outside of the web processes: a page, a command or a worker changed what tabs show."""

import secrets

from asgiref.sync import async_to_sync
from django.conf import settings

from chatbot.state import State
from conversations.live import notice

_NOBODY = f"outside:{secrets.token_hex(4)}"  # so that every web process hears it, also our own


def message_changed(conversation_id: str, message_id: str) -> bool:
    """Let every tab that shows the conversation show this message anew.

    Call it once the change is committed, and not from an event loop. False where Redis is away: then tabs
    show it when it is back, or when they are opened anew.
    """
    return _publish(conversation_id, notice(_NOBODY, "changed", message_id))


@async_to_sync
async def _publish(channel: str, text: bytes) -> bool:
    state = State(settings.REDIS_URL)
    try:
        return await state.call("PUBLISH", state.key(channel), text) is not None
    finally:
        await state.aclose()
