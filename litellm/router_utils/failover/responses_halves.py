"""
The two halves of a stream of /v1/responses: what the caller has of the first one's events, and what of a second
answer's he is to get after them.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.inband_failure import judge_value
from litellm.litellm_core_utils.inband_formats import Api
from litellm.router_utils.failover.stream_recovery import Diverged, Half, Halves, halves, prefill
from litellm.router_utils.failover.token_estimates import estimated_tokens
from pydantic import BaseModel

Event = Any  # any-ok: an event of whichever release's classes, or a part of one, which may be a dict

_OPENINGS: Final = frozenset({"response.created", "response.in_progress", "response.queued"})
_ADDED: Final = frozenset({"response.output_item.added", "response.content_part.added"})
_DELTA: Final = "response.output_text.delta"
_DONE: Final = frozenset({"response.output_text.done", "response.content_part.done", "response.output_item.done"})
_ENDS: Final = frozenset({"response.completed", "response.incomplete"})
_FAILURES: Final = frozenset({"error", "response.failed"})
_ELSEWHERE: Final = ("background", "previous_response_id", "conversation")
"""What makes a request that of one provider, which keeps what it is about."""

_CONSTRAINTS: Final = ("reasoning", "include", "top_logprobs")
_PLAIN_FORMATS: Final = (None, {"type": "text"})


class ResponsesHalves(Halves):
    """The events of a response to `asked`, LiteLLM's own classes. The caller gets the first half's id and items."""

    def __init__(self, asked: object) -> None:
        super().__init__()
        self._asked: Final = asked
        self._opened: Final[set[str]] = set()  # the types of the events that were sent
        self._id: object = None  # of the response, as the caller knows it
        self._message: object = None  # the id of its only item
        self._place: object = None  # of that among the items
        self._last_number = -1
        self._second: object = None  # as `_place`, of the second answer's
        self._delta: Event = None  # of the second answer

    def wanted(self, request: Mapping[str, object]) -> tuple[Half, ...]:
        form: Final = _get(request.get("text"), "format")
        is_kept: Final = bool(self.passed_on) and request.get("store") is True  # under an id that has been told
        if is_kept or any(request.get(name) for name in _ELSEWHERE):
            return ()
        is_constrained: Final = form not in _PLAIN_FORMATS or any(request.get(name) for name in _CONSTRAINTS)
        return () if self.sent.text and is_constrained else halves(self.sent, request)

    def prefilled(self, request: Mapping[str, object]) -> dict[str, object]:
        asked: Final = request.get("input")
        before: Final = asked if isinstance(asked, (list, tuple)) else [{"role": "user", "content": asked}]
        said: Final = {"role": "assistant", "content": prefill(self.sent.text)}
        return {"input": [*before, said], **self._limits(request)}

    def join(self, half: Half) -> None:
        super().join(half)
        self._second = None
        self._delta = None

    def name(self) -> str | None:
        self._read_on()
        return None if self._id is None else str(self._id)

    def prompt_tokens(self, model: str) -> int:
        return estimated_tokens(model, text="\n".join(_texts(self._asked)))

    def _note(self, item: object) -> None:
        kind: Final = _kind(item)
        self._opened.add(kind)
        number: Final = safe_getattr(item, "sequence_number")
        self._last_number = max(self._last_number, number if isinstance(number, int) else -1)
        if kind in _OPENINGS:
            self._id = _get(safe_getattr(item, "response"), "id")
        elif kind in (_DELTA, *_ADDED) and _is_text(item) and self._place in (None, _place(item)):
            self._place = _place(item)
            self._message = self._message or _message(item)
            self._sent.add(safe_getattr(item, "delta"), None, None)
        else:
            self._sent.add(None, None, item if kind in _ENDS else None)
            self._sent.has_more = True  # the end of a text, a call, a thought, a reference

    def words_of(self, item: object) -> str:
        text: Final = safe_getattr(item, "delta")
        return text if _kind(item) == _DELTA and isinstance(text, str) else ""

    def take(self, item: object) -> Sequence[object]:
        if not self.is_first:
            return list(self._numbered(self._joined(item)))
        self.pass_on(item)
        return (item,)

    def _numbered(self, events: Iterator[Event]) -> Iterator[Event]:
        """The events as the caller gets them: with the number that is next, where they have one."""
        for event in events:
            self._read_on()
            has_number = "sequence_number" in event.model_fields_set  # those of some bridges are not written
            told = _with(event, sequence_number=self._last_number + 1) if has_number else event
            self.pass_on(told)
            yield told

    def _joined(self, event: Event) -> Iterator[Event]:
        """The events that are left of a second answer's."""
        kind: Final = _kind(event)
        is_known: Final = bool(self.sent) and kind in self._opened
        is_its_text: Final = _is_text(event) and self._second in (None, _place(event))
        if kind in _OPENINGS:
            yield from () if is_known else (self._with_id(event),)
        elif kind in _ADDED and is_its_text:
            self._second = _place(event)
            yield from () if is_known else (self._placed(event),)
        elif kind == _DELTA and is_its_text:
            self._second = _place(event)
            self._delta = event
            yield from self._rest(event.delta if self.splice is None else self.splice.feed(event.delta))
        elif kind in _ENDS or (kind in _DONE and is_its_text):
            yield from self._rest("" if self.splice is None else self.splice.end())
            yield self._ended(event) if kind in _ENDS else self._placed(_with_text(event, self.sent.text))
        elif (self.sent.text and not self.is_joined) or (self._place is not None and self._second is None):
            raise Diverged(is_echo=False)
        else:
            yield self._placed(event)

    def _rest(self, text: str) -> Iterator[Event]:
        """What of the second answer's words is left for the caller."""
        if text:
            yield self._placed(_with(self._delta, delta=text))

    def _placed(self, event: Event) -> Event:
        """An event of the second answer's message, as one of the message that the caller knows."""
        if self._place is None or self._second is None or _place(event) != self._second:
            return event
        item: Final = safe_getattr(event, "item")
        own: Final = {"item_id": self._message} if item is None else {"item": _with(item, id=self._message)}
        return _with(event, output_index=self._place, **own)

    def _with_id(self, event: Event, **update: object) -> Event:
        name: Final = {} if self._id is None else {"id": self._id}
        return _with(event, response=_with(event.response, **name, **update))

    def _ended(self, event: Event) -> Event:
        """The end of a second answer, which has the whole text, and the usage of the halves before it too."""
        response: Final = event.response
        output = list(_get(response, "output") or ())
        for number, item in enumerate(output):
            if _get(item, "type") == "message":
                name = {} if self._message is None else {"id": self._message}
                output[number] = _with(_item_with_text(item, self.sent.text), **name)
                break
        return self._with_id(event, output=output, usage=self._with_spent(_get(response, "usage")))

    def _with_spent(self, usage: Event) -> Event:
        if usage is None:
            return None
        read, said = self.spent_in_all()
        before: Final = {"input_tokens": read, "output_tokens": said, "total_tokens": read + said}
        cost: Final = {} if _get(usage, "cost") is None else {"cost": None}  # LiteLLM's, of the second half alone
        return _with(usage, **cost, **{name: (_get(usage, name) or 0) + more for name, more in before.items()})


def failed_response(event: object) -> Mapping[str, object] | None:
    """The failure that an event tells of, as an error with its HTTP status; None if it is no event of failure."""
    if _kind(event) not in _FAILURES or not isinstance(event, BaseModel):
        return None
    told: Final = event.model_dump(mode="json", exclude_none=True)
    found: Final = judge_value(Api.RESPONSES, told, empty_fails=False)
    status: Final = (None if found is None else found.http_status) or 500
    return {"error": {"code": status, "message": json.dumps(told)}}


def _kind(event: object) -> str:
    kind: Final = safe_getattr(event, "type")
    return str(safe_getattr(kind, "value") or kind)


def _place(event: object) -> object:
    """Where among the items of a response the one is that an event is of."""
    return safe_getattr(event, "output_index")


def _message(event: object) -> object:
    """The id of the item that an event is of."""
    item: Final = safe_getattr(event, "item")
    return safe_getattr(event, "item_id") if item is None else _get(item, "id")


def _is_text(event: object) -> bool:
    """Whether an event that opens something opens a message, or the first text of one."""
    item, part = safe_getattr(event, "item"), safe_getattr(event, "part")
    if item is not None:
        return bool(_get(item, "type") == "message")
    is_first: Final = not safe_getattr(event, "content_index")
    return is_first and (part is None or _get(part, "type") == "output_text")


def _with_text(event: Event, text: str) -> Event:
    """An event that ends a text, a part or a message, with the whole text."""
    item, part = safe_getattr(event, "item"), safe_getattr(event, "part")
    if item is not None:
        return _with(event, item=_item_with_text(item, text))
    return _with(event, text=text) if part is None else _with(event, part=_with(part, text=text))


def _item_with_text(item: Event, text: str) -> Event:
    first, *others = _get(item, "content") or ({"type": "output_text", "annotations": []},)
    return _with(item, content=[_with(first, text=text), *others])


def _texts(asked: object) -> Iterator[str]:
    """The texts in what was asked."""
    if isinstance(asked, str):
        yield asked
    for one in asked if isinstance(asked, (list, tuple)) else ():
        yield from _texts(_get(one, "content") or _get(one, "text"))


def _get(part: Event, name: str) -> Event:
    return part.get(name) if isinstance(part, Mapping) else safe_getattr(part, name)


def _with(part: Event, /, **update: object) -> Event:
    return {**part, **update} if isinstance(part, Mapping) else part.model_copy(update=update)
