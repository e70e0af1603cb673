"""What a client shows of its conversation, made of the frames that came, and what went wrong with it."""

from dataclasses import dataclass, field
from typing import Any

Frame = dict[str, Any]


@dataclass(slots=True)
class Running:
    """The running answer as it is shown; `position` is None until something is visible."""

    id: str
    position: int | None = None
    text: str = ""


@dataclass(slots=True)
class Shown:
    """One conversation.

    `gaps` counts what was missed and asked for, `repeats` the deltas that were shown already,
    `taken_back` is the text that vanished whenever a whole answer replaced a longer beginning of
    itself, `contradictions` are pairs of texts of one answer of which neither begins with the other.
    `before_end` holds by turn what was shown of an answer when its end was told.
    """

    conversation_id: str | None = None
    messages: dict[str, Frame] = field(default_factory=dict)
    turn: Running | None = None
    is_behind: bool = False
    gaps: int = 0
    repeats: int = 0
    taken_back: list[str] = field(default_factory=list)
    contradictions: list[tuple[str, str]] = field(default_factory=list)
    before_end: dict[str, str] = field(default_factory=dict)

    def take(self, frame: Frame) -> bool:
        """Read one frame; True if the client has to send `sync` because of it."""
        was_behind = self.is_behind
        match frame["type"]:
            case "ready":
                self._ready(frame)
            case "message.saved":
                self._saved(frame)
            case "message.added":
                self._put(frame["message"])
            case "message.changed" if frame["message"]["id"] in self.messages:
                self._put(frame["message"])
            case "turn.started" if self.turn is None or self.turn.id != frame["turn_id"]:
                self.is_behind = self.is_behind or self.turn is not None  # the end of that one was missed
                self.turn = Running(frame["turn_id"])
            case "turn.delta":
                self._delta(frame)
            case "turn.finished":
                self._put(frame["message"])
                self._end(frame["turn_id"])
        is_lost = self.is_behind and not was_behind
        self.gaps += is_lost
        return is_lost

    def answer_to(self, turn_id: str) -> Frame | None:
        """Return the message that ended a turn, if it is shown."""
        return next((each for each in self.messages.values() if each["turn_id"] == turn_id), None)

    @property
    def answers(self) -> list[Frame]:
        """All ended answers, in order."""
        found = [each for each in self.messages.values() if each["role"] == "assistant"]
        return sorted(found, key=lambda each: int(each["position"]))

    def _ready(self, frame: Frame) -> None:
        known = self.turn
        self.conversation_id = frame["conversation"] and frame["conversation"]["id"]
        self.messages = {each["id"]: each for each in frame["messages"]}
        running = frame["turn"]
        self.turn = running and Running(running["id"], running["position"], running["text"])
        self.is_behind = False
        if known is not None:
            self._compare(known)

    def _saved(self, frame: Frame) -> None:
        conversation_id = frame["conversation"]["id"]
        if self.conversation_id not in (None, conversation_id):
            self.messages, self.turn, self.is_behind = {}, None, True
        self.conversation_id = conversation_id
        self._put(frame["message"])

    def _delta(self, frame: Frame) -> None:
        if self.turn is None or self.turn.id != frame["turn_id"]:
            self.is_behind = self.is_behind or self.answer_to(frame["turn_id"]) is None
            return
        length = len(self.turn.text)
        if frame["at"] > length:
            self.is_behind = True
            return
        self.repeats += frame["at"] < length
        if self.turn.position is None:
            self.turn.position = frame.get("position")
        self.turn.text += frame["text"][length - frame["at"] :]

    def _end(self, turn_id: str) -> None:
        if self.turn is not None and self.turn.id == turn_id:
            known, self.turn = self.turn, None
            self.before_end[turn_id] = known.text
            self._compare(known)

    def _put(self, message: Frame) -> None:
        self.messages[message["id"]] = message

    def _compare(self, known: Running) -> None:
        """Hold what was shown of an answer against what is shown of it now."""
        ended = self.answer_to(known.id)
        if self.turn is not None and self.turn.id == known.id:
            now = self.turn.text
        elif ended is not None:
            now = ended["text"]
        else:
            now = ""
        if known.text.startswith(now):
            self.taken_back += [known.text[len(now) :]] if now != known.text else []
        elif not now.startswith(known.text):
            self.contradictions.append((known.text, now))
