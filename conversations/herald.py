"""What tabs are told of turns and messages, whichever process they are of."""

from chatbot import database, metrics
from conversations import lifecycle, transcript, turns
from conversations.events import MessageAdded, MessageChanged, TurnFailed, TurnFinished, TurnStarted
from conversations.live import Live


class Herald:
    """Tells this process's tabs what happens anywhere, and the other processes what happens here."""

    def __init__(self, live: Live) -> None:
        self._live = live

    async def publish(self, conversation_id: str, finished: turns.Finished) -> None:
        """Tell everybody that a turn has ended."""
        metrics.TURNS.labels(finished.status).inc()
        self._live.announce(conversation_id, "finished", finished.turn_id)
        await self._tell_finished(conversation_id, finished)

    async def hear(self, conversation_id: str, what: str, which: str) -> None:
        """Tell the tabs what another process has said of a conversation they show."""
        match what:
            case "added" | "changed" if self._live.is_watched(conversation_id):
                message = await database.run(transcript.message_view, which)
                if message is not None:
                    event = MessageAdded(message) if what == "added" else MessageChanged(message)
                    await self._live.tell(conversation_id, event)
            case "started" if self._live.is_watched(conversation_id):
                row = await database.run(lifecycle.unfinished, conversation_id)
                if row is not None and row.id == which:
                    self._live.follow(row.id, conversation_id)
                    await self._live.tell(
                        conversation_id, TurnStarted(row.id, row.message_id, row.replaces_id)
                    )
            case "state":
                await self._live.refresh(conversation_id)
            case "finished" if self._live.is_watched(conversation_id):
                await self._end_followed(conversation_id, which)
            case _:
                pass

    async def poll(self) -> None:
        """End the followed turns whose last notice was lost."""
        for answer in self._live.followed:
            await self._end_followed(answer.conversation_id, answer.turn_id)

    async def _tell_finished(self, conversation_id: str, finished: turns.Finished) -> None:
        if not self._live.note_end(finished.turn_id):
            return
        await self._live.tell(
            conversation_id, TurnFinished(finished.turn_id, finished.status, finished.message)
        )
        if finished.error:
            await self._live.tell(
                conversation_id, TurnFailed(finished.turn_id, finished.error, finished.sentences)
            )

    async def _end_followed(self, conversation_id: str, turn_id: str) -> None:
        finished = await database.run(turns.ended, turn_id)
        if finished is not None:
            await self._tell_finished(conversation_id, finished)
