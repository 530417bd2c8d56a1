"""What OpenAI says on its two WebSockets: Responses (`/v1/responses`) and Realtime (`/v1/realtime`).

Each frame that runs a model is a request of its own: it is on record (method `WS`, path `…#create`), takes a step of the
script and counts against the limits. Refusals become error frames as OpenAI sends them; toxics of a step that cut,
reset or hang do that to the socket.
"""

import asyncio
import json

from collections.abc import Iterator
from typing import Any, Protocol

from codex_manager.testing.journal import Seen
from codex_manager.testing.openai.generation import make_response, pieces_of, response_events
from codex_manager.testing.openai.request import Facts
from codex_manager.testing.openai.shelf import Shelf
from codex_manager.testing.openai.usage import realtime_usage, seconds_of, tokens, transcription_usage
from codex_manager.testing.reply import Reply
from codex_manager.testing.step import Cut, Good, Step
from codex_manager.testing.websocket import Socket
from codex_manager.testing.wire import CutError


__all__ = ["PATHS", "RealtimeTalk", "ResponsesTalk", "Stage"]

PATHS = frozenset({"/v1/responses", "/v1/realtime"})
HINTS = ("retry-after", "retry-after-ms", "x-ratelimit-")


class Stage(Protocol):
    """What a talk asks of its server."""

    def cue(self, handshake: Seen, what: str, message: str) -> tuple[Facts, Step, Reply | None]:
        """Put a frame on record: what is known of it, the step it meets, and the refusal a limit gave it."""
        ...

    def opening(self, handshake: Seen) -> Step | None:
        """A step scripted for what is said as soon as a socket is open (path `…#open`)."""
        ...


class _Talk:
    def __init__(self, stage: Stage, shelf: Shelf) -> None:
        self._stage = stage
        self._shelf = shelf

    async def opened(self, socket: Socket) -> None:
        """Say what is scripted for the opening."""
        await self._opened_otherwise(socket)

    async def _opened_otherwise(self, socket: Socket) -> bool:
        """Whether something is scripted for the opening; it is said."""
        step = self._stage.opening(socket.seen)
        if step is None or step.reply is None:
            return False
        facts, _, _ = self._stage.cue(socket.seen, "open", "{}")
        await self._refuse(socket, step.reply(facts))
        return True

    async def _perform(self, socket: Socket, message: str, what: str) -> tuple[Facts, Step] | None:
        """Meet the step; None when it has been dealt with."""
        facts, step, refusal = self._stage.cue(socket.seen, what, message)
        seen, travel = facts.seen, step.travel
        if travel.delay_s:
            await asyncio.sleep(travel.delay_s)
        if travel.cut is not None and travel.cut.of == "wire":
            raise CutError(travel.cut)
        if refusal is None and step.reply is not None:
            refusal = step.reply(facts)
        if refusal is not None:
            seen.status = refusal.status
            await self._refuse(socket, refusal)
            return None
        seen.processed = True
        seen.status = 200
        return facts, step

    async def _tell(self, socket: Socket, step: Step, events: Iterator[dict[str, Any]]) -> None:
        cut: Cut | None = step.travel.cut
        for number, event in enumerate(events):
            if cut is not None and number >= cut.at:
                raise CutError(cut)
            if number and step.good.every_s:
                await asyncio.sleep(step.good.every_s)
            await socket.send(event)

    async def _refuse(self, socket: Socket, refusal: Reply) -> None:
        if refusal.close is not None:
            await socket.close(*refusal.close)
            return
        await socket.send(self._error(refusal))

    def _error(self, refusal: Reply) -> dict[str, Any]:
        raise NotImplementedError


def _body(refusal: Reply) -> dict[str, Any]:
    try:
        error = json.loads(refusal.body if isinstance(refusal.body, bytes) else b"")["error"]
    except (ValueError, KeyError, TypeError):
        error = {"message": "", "type": None, "param": None, "code": None}
    return dict(error)


class ResponsesTalk(_Talk):
    """`response.create` frames, one after the other; ids of responses that were not stored live as long as the socket."""

    def __init__(self, stage: Stage, shelf: Shelf) -> None:
        super().__init__(stage, shelf)
        self._known: set[str] = set()

    async def heard(self, socket: Socket, message: str | bytes) -> None:
        """Answer one frame."""
        body = _document(message)
        if body.get("type") != "response.create":
            error = {
                "type": "invalid_request_error",
                "code": "unknown_event",
                "message": "Unknown event type.",
                "param": "type",
            }
            await socket.send({"type": "error", "status": 400, "error": error})
            return
        performed = await self._perform(socket, json.dumps(body), "create")
        if performed is None:
            return
        facts, step = performed
        made = make_response(facts, step.good, self._shelf, known=frozenset(self._known))
        if isinstance(made, Reply):
            facts.seen.status = made.status
            await self._refuse(socket, made)
            return
        self._known.add(made.whole["id"])
        if body.get("generate") is False:
            made.whole["output"] = []
            whole = made.whole
            warm = [
                {
                    "type": "response.created",
                    "sequence_number": 0,
                    "response": {**whole, "status": "in_progress", "usage": None},
                },
                {"type": "response.completed", "sequence_number": 1, "response": whole},
            ]
            await self._tell(socket, step, iter(warm))
            return
        await self._tell(socket, step, response_events(made, step.good))

    def _error(self, refusal: Reply) -> dict[str, Any]:
        hints = {name: value for name, value in refusal.headers if name.lower().startswith(HINTS)}
        frame = {"type": "error", "status": refusal.status, "error": _body(refusal)}
        return {**frame, "headers": hints} if hints else frame


class RealtimeTalk(_Talk):
    """A session that holds its conversation: it answers `response.create` with text."""

    def __init__(self, stage: Stage, shelf: Shelf) -> None:
        super().__init__(stage, shelf)
        self._session: dict[str, Any] = {}
        self._items: list[dict[str, Any]] = []
        self._heard = {"text": 0, "audio": 0}
        """Tokens of the conversation so far; each answer reads all of them."""
        self._known = {"text": 0, "audio": 0}
        """What of them an answer has read before."""
        self._events = 0

    async def opened(self, socket: Socket) -> None:
        """`session.created`, unless something else is scripted."""
        if await self._opened_otherwise(socket):
            return
        self._session = {
            "type": "realtime",
            "object": "realtime.session",
            "id": f"sess_{self._shelf.next_number():016x}",
            "model": next(
                (v for k, _, v in (p.partition("=") for p in socket.seen.query.split("&")) if k == "model"), None
            ),
            "output_modalities": ["text"],
        }
        await socket.send(self._event("session.created", session=self._session))

    async def heard(self, socket: Socket, message: str | bytes) -> None:
        """Answer one event."""
        body = _document(message)
        kind = body.get("type")
        if kind == "session.update":
            self._session |= body.get("session") or {}
            await socket.send(self._event("session.updated", session=self._session))
        elif kind == "conversation.item.create":
            item = {
                "id": f"item_{self._shelf.next_number():08x}",
                "object": "realtime.item",
                **(body.get("item") or {}),
            }
            self._items.append(item)
            self._heard["text"] += tokens(len(json.dumps(item)))
            await socket.send(self._event("conversation.item.added", previous_item_id=None, item=item))
        elif kind == "input_audio_buffer.append":
            self._items.append(body)
            self._heard["audio"] += tokens(len(str(body.get("audio", ""))))
        elif kind == "input_audio_buffer.commit":
            await self._commit(socket)
        elif kind == "response.create":
            performed = await self._perform(socket, json.dumps(body), "create")
            if performed is not None:
                await self._tell(socket, performed[1], self._response(*performed))
        else:
            error = {
                "type": "invalid_request_error",
                "code": "invalid_value",
                "message": f"Invalid value: {kind!r}.",
                "param": "type",
            }
            await socket.send(self._event("error", error={**error, "event_id": body.get("event_id")}))

    async def _commit(self, socket: Socket) -> None:
        """What was said becomes an item; it is written down by another model if the session has one for that."""
        name = f"item_{self._shelf.next_number():08x}"
        await socket.send(self._event("input_audio_buffer.committed", previous_item_id=None, item_id=name))
        listener = ((self._session.get("audio") or {}).get("input") or {}).get("transcription")
        listener = listener or self._session.get("input_audio_transcription")
        if not listener:
            return
        sound = sum(len(str(item.get("audio", ""))) for item in self._items)
        usage = transcription_usage(
            listener.get("model") or "whisper-1", Good(), seconds=seconds_of(sound), prompt=0, text="heard"
        )
        kind = "conversation.item.input_audio_transcription.completed"
        await socket.send(self._event(kind, item_id=name, content_index=0, transcript="heard", usage=usage))

    def _response(self, facts: Facts, step: Step) -> Iterator[dict[str, Any]]:
        good, number = step.good, self._shelf.next_number()
        text = good.text if good.text is not None else f"{len(self._items)} items heard by {facts.account.marker}."
        base = {
            "id": f"resp_{number:016x}",
            "object": "realtime.response",
            "metadata": {"served_by": facts.account.marker},
        }
        at = {"response_id": base["id"], "item_id": f"item_{number:08x}", "output_index": 0, "content_index": 0}
        yield self._event("response.created", response={**base, "status": "in_progress", "output": []})
        for index, piece in enumerate(pieces_of(text, good.chunks)):
            if good.error is not None and index == good.error[2]:
                details = {
                    "type": "failed",
                    "error": {"type": good.error[0], "code": good.error[0], "message": good.error[1]},
                }
                yield self._event(
                    "response.done", response={**base, "status": "failed", "status_details": details, "output": []}
                )
                return
            yield self._event("response.output_text.delta", **at, delta=piece)
        yield self._event("response.output_text.done", **at, text=text)
        item = {"id": at["item_id"], "type": "message", "role": "assistant", "status": "completed",
                "content": [{"type": "output_text", "text": text}]}  # fmt: skip
        modalities = (facts.json.get("response") or {}).get("output_modalities") or self._session.get(
            "output_modalities"
        )
        usage = realtime_usage(
            good, heard=self._heard, known=self._known, text=text, spoken="audio" in (modalities or ())
        )
        self._known = dict(self._heard)
        self._heard["text"] += tokens(len(text))  # an answer is read with the rest next time
        yield self._event("response.done", response={**base, "status": "completed", "output": [item], "usage": usage})

    def _error(self, refusal: Reply) -> dict[str, Any]:
        return self._event("error", error={**_body(refusal), "event_id": None})

    def _event(self, kind: str, **fields: Any) -> dict[str, Any]:
        self._events += 1
        return {"type": kind, "event_id": f"event_{self._events:06d}", **fields}


def _document(message: str | bytes) -> dict[str, Any]:
    try:
        body = json.loads(message)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
