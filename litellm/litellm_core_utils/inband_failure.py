"""
Says of an answer of 200, whole or the events of a stream, whether it is one: it may hold an error, or nothing at all.

Pure: a decoded JSON value in, a `Failure` or nothing out. `inband_http` has what comes of it.
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

from litellm.litellm_core_utils.error_object import ErrorObject, error_object_in
from litellm.litellm_core_utils.failure import Basis, Failure, FailureKind, failure_of_error
from litellm.litellm_core_utils.failure_evidence import STATUS_OF_CODE, STATUS_OF_NUMBER
from litellm.litellm_core_utils.inband_formats import (
    CONTENT_FIELDS,
    ENDS_RESPONSE,
    HAS_END,
    LABELS,
    NAMES_OF_REASON,
    OPENS_RESPONSE,
    ORDINARY_ENDS,
    RESULTS_OF,
    STATUS_OF_END,
    TRANSCRIPT,
    VALUES,
    Api,
)
from litellm.litellm_core_utils.json_values import JsonObject, json_array, json_object

NOTHING_IN_IT: Final = Failure(FailureKind.GARBLED, None, Basis.LITELLM)
"""An answer that says nothing, or nothing that can be read."""

BROKEN_OFF: Final = Failure(FailureKind.INTERRUPTED, None, Basis.LITELLM)
"""An answer that has no end."""

_TEXTS_OF_ERRORS: Final = frozenset({"message", "msg", "detail", "error_msg", "err_msg"})
_CODES_OF_ERRORS: Final = ("error_code", "err_code")  # nothing else has a code of such a name
_OF_SUCCESS: Final = ("0", "200", "ok", "success", "none", "null", "")
_FIELDS_OF_A_CHUNK: Final = ("choices", "usage", "object", "id", "type")
_FIELDS_OF_A_CHUNK_ALONE: Final = ("choices", "usage", "x_groq", "prompt_filter_results")
_MOST_DIGITS: Final = 9  # of a number that says what is wrong; Python reads no more than 4300
_MOST_LEVELS: Final = 6  # of what is looked into; what is nested deeper is taken for something
_TOLD_TO_ITS_READER: Final = (Api.RESPONSES, Api.MESSAGES)
"""Formats whose reader knows an event of failure, and is to have it once it has begun to read."""

_EVENTS_OF_FAILURE: Final = ("error", "response.failed")
"""What such an event is called; no reader looks for an error in any other."""


class Signs(NamedTuple):
    """What an answer or an event shows: whether it says something, the reason for its end, how many tokens were spent
    on it, and whether it is the last."""

    says: bool = False
    reason: str | None = None
    tokens: int = 0
    is_end: bool = False


def judge_value(api: Api, value: object, *, empty_fails: bool = True) -> Failure | None:
    """What kind of failure a whole answer is, decoded from JSON; None if it is an answer.

    `empty_fails` is whether one that says nothing has failed. Never raises.
    """
    failed: Final = _failure_in(api, value)
    if failed is not None or api is Api.OTHER or not empty_fails:
        return failed
    if isinstance(value, list):
        return None if value and api is not Api.CHAT else NOTHING_IN_IT
    if not isinstance(value, dict):
        return NOTHING_IN_IT
    if api in RESULTS_OF:
        return None if any(_has_results(value, name) for name in RESULTS_OF[api]) else NOTHING_IN_IT
    if api is Api.TRANSCRIPTION:
        is_one: Final = any(isinstance(value.get(name), types) for name, types in TRANSCRIPT.items())
        return None if is_one else NOTHING_IN_IT
    return NOTHING_IN_IT if api is not Api.SPEECH and _is_empty(signs_of(api, value)) else None


def _has_results(value: JsonObject, name: str) -> bool:
    """Whether there are results under a name; `output` may be the address of one."""
    results: Final = value.get(name)
    if isinstance(results, list):
        return any(map(_holds_one, results))
    return bool(results) and (isinstance(results, dict) or name == "output")


def _holds_one(item: object) -> bool:
    """Whether an item of a list of results is one, and no place for one."""
    named: Final = [item[name] for name in VALUES if name in item] if isinstance(item, dict) else [item]
    return any(value not in (None, "", []) for value in named) if named else bool(item)


class StreamedAnswer:
    """What has come of a stream of events, each a decoded JSON value.

    `empty_fails` and `unfinished_fails` are whether one that says nothing, or that says something and has no end, has
    failed.
    """

    def __init__(self, api: Api, *, empty_fails: bool = True, unfinished_fails: bool = True) -> None:
        self._api = api
        self._empty_fails = empty_fails
        self._unfinished_fails = unfinished_fails
        self._seen = Signs()
        self._has_events = False
        self._has_odd_event = False  # one that is no part of an answer, nor known as an error
        self._begun: set[int] = set()  # choices that have said something
        self._ended: set[int] = set()  # choices that have a reason for their end
        self.has_several = False  # more than the one that most have

    @property
    def has_said(self) -> bool:
        """Whether it has said something."""
        return self._seen.says

    @property
    def has_open_choice(self) -> bool:
        """Whether one of its choices has ended and another one, which has said something, has not."""
        return bool(self._ended and self._begun - self._ended)

    @property
    def may_be_empty(self) -> bool:
        """Whether it has an end and has said nothing so far."""
        return self._empty_fails and self._seen.reason is not None and not self._seen.says and _is_empty(self._seen)

    def add(self, value: object, name: str = "") -> Failure | None:
        """Take an event, under its `name` if it has one, into account; the failure it tells of, None if it is none."""
        self._has_events = True
        is_error: Final = name == "error" or (self._seen.says and _says_only_what_is_wrong(self._api, value))
        failed: Final = _failure_in(self._api, value) or (_named_error(value) if is_error else None)
        if failed is not None:
            if self._seen.says and self._api in _TOLD_TO_ITS_READER and _tells_of_failure(value, name):
                self._seen = self._seen._replace(is_end=True)
                return None
            return failed
        signs: Final = signs_of(self._api, value) if isinstance(value, dict) else Signs()
        self._seen = Signs(
            says=self._seen.says or signs.says,
            reason=self._seen.reason if signs.reason is None else signs.reason,
            tokens=max(self._seen.tokens, signs.tokens),
            is_end=self._seen.is_end or signs.is_end,
        )
        if self._api is Api.CHAT:
            self._has_odd_event |= not isinstance(value, dict) or value.keys().isdisjoint(_FIELDS_OF_A_CHUNK_ALONE)
            self._count_choices(json_array(json_object(value).get("choices")), signs)
        return None

    def begin(self) -> None:
        """Take events into account that say something, the first to do so, and tell of nothing else."""
        self._has_events = True
        self._seen = self._seen._replace(says=True)
        if self._api is Api.CHAT:
            self._begun.add(0)

    def add_unread(self) -> None:
        """Take an event into account that is no JSON."""
        self._has_odd_event = True

    def _count_choices(self, choices: list[object], signs: Signs) -> None:
        for choice in choices:
            if isinstance(choice, dict):
                of = signs if len(choices) == 1 else _signs_of_choices({"choices": [choice]})
                index = _number(choice.get("index"))
                self._begun.update([index] if of.says else ())
                self._ended.update([index] if of.is_end else ())
                self.has_several = self.has_several or index > 0

    def done(self) -> Failure | None:
        """Take the event that only says the stream is over into account."""
        self._has_events = True
        if self._api is Api.CHAT and not self._has_odd_event:  # the end of other formats is an event of their own
            self._seen = self._seen._replace(is_end=True)
            self._begun.clear()
        return self.end()

    def end(self) -> Failure | None:
        """What kind of failure it is that the stream ends here, None if it is an answer."""
        if not self._has_events or self._api not in HAS_END:
            return None
        if self._seen.says:
            has_end: Final = self._seen.is_end and self._begun <= self._ended
            return BROKEN_OFF if self._unfinished_fails and not has_end else None
        return NOTHING_IN_IT if self._empty_fails and _is_empty(self._seen) else None


def signs_of(api: Api, value: JsonObject) -> Signs:
    """What a whole answer, or an event of a streamed one, shows."""
    if api is Api.CHAT:
        return _signs_of_choices(value)
    if api is Api.RESPONSES:
        return _signs_of_response(value)
    if api is Api.MESSAGES:
        return _signs_of_message(value)
    if api is Api.GEMINI:
        return _signs_of_candidates(value)
    if api is Api.COHERE:
        return _signs_of_cohere(value)
    if api is Api.OLLAMA:
        message: Final = {**json_object(value.get("message")), "text": value.get("response")}
        reason: Final = _reason(value.get("done_reason")) if value.get("done") is True else None
        thinks: Final = _says(value.get("thinking"))
        return Signs(thinks or _says_in(message), reason, _number(value.get("eval_count")), reason is not None)
    if api is Api.CONVERSE:
        return _signs_of_converse(value)
    return Signs(says=True)


def _signs_of_choices(value: JsonObject) -> Signs:
    """OpenAI's chat and text completions."""
    says, reason = False, None
    for choice in json_array(value.get("choices")):
        if isinstance(choice, dict):
            parts = (choice.get("delta"), choice.get("message"), choice)
            says = says or any(isinstance(part, dict) and _says_in(part) for part in parts)
            reason = reason or next((choice[name] for name in NAMES_OF_REASON if choice.get(name)), None)
    holders: Final = (value, json_object(value.get("x_groq")), *map(json_object, json_array(value.get("choices"))))
    usage: Final = next(filter(None, (json_object(one.get("usage")) for one in holders)), {})
    tokens: Final = _number(usage.get("completion_tokens"))
    return Signs(says, _reason(reason) if reason else None, tokens, bool(reason))


def _signs_of_response(value: JsonObject) -> Signs:
    """OpenAI's responses; one that runs in the background has nothing to say yet."""
    kind: Final = value.get("type")
    if isinstance(kind, str) and kind in OPENS_RESPONSE:
        item: Final = json_object(value.get("item")) if kind == "response.output_item.done" else {}
        return Signs(says=bool(item) and _item_says(item))
    if isinstance(kind, str) and kind not in ENDS_RESPONSE:
        return Signs(says=True)
    response: Final = json_object(value.get("response")) if isinstance(kind, str) else value
    items: Final = [item for item in json_array(response.get("output")) if isinstance(item, dict)]
    status: Final = _reason(response.get("status"))
    says: Final = any(map(_item_says, items))
    return Signs(says, status, _number(json_object(response.get("usage")).get("output_tokens")), True)


def _item_says(item: JsonObject) -> bool:
    """Whether an item of a response says something: a message by its words, whatever else by being there."""
    return item.get("type") != "message" or _says_in(item)


def _signs_of_message(value: JsonObject) -> Signs:
    """Anthropic's messages and events."""
    kind: Final = value.get("type")
    if kind == "content_block_start":
        block: Final = json_object(value.get("content_block"))
        return Signs(says=block.get("type") not in ("text", "thinking") or _says_in(block))
    if kind == "content_block_delta":
        return Signs(says=_says(value.get("delta")))
    tokens: Final = _number(json_object(value.get("usage")).get("output_tokens"))
    if kind == "message_delta":
        stop: Final = json_object(value.get("delta")).get("stop_reason")
        return Signs(reason=_reason(stop) if stop else None, tokens=tokens, is_end=bool(stop))
    if kind in ("message_stop", "message_start", "content_block_stop", "ping"):
        return Signs(is_end=kind == "message_stop")
    blocks: Final = json_array(value.get("content"))
    says: Final = any(json_object(block).get("type") not in ("text", "thinking") or _says(block) for block in blocks)
    is_whole: Final = kind == "message" or "content" in value or "completion" in value
    return Signs(says or _says(value.get("completion")), _reason(value.get("stop_reason")), tokens, is_whole)


def _signs_of_candidates(value: JsonObject) -> Signs:
    """Google's. A prompt that is blocked has no candidate, and that is the answer."""
    candidates: Final = [one for one in json_array(value.get("candidates")) if isinstance(one, dict)]
    parts: Final = [json_object(one.get("content")).get("parts") for one in candidates]
    reasons: Final = [_reason(one["finishReason"]) for one in candidates if one.get("finishReason")]
    if json_object(value.get("promptFeedback")).get("blockReason"):
        reasons.append("blocked")
    usage: Final = json_object(value.get("usageMetadata"))
    tokens: Final = _number(usage.get("candidatesTokenCount")) + _number(usage.get("thoughtsTokenCount"))
    return Signs(any(map(_says, parts)), reasons[0] if reasons else None, tokens, bool(reasons))


def _signs_of_cohere(value: JsonObject) -> Signs:
    """Cohere's chat, both versions, and their events."""
    kind: Final = value.get("type") or value.get("event_type")
    is_end: Final = kind in ("message-end", "stream-end")
    holder: Final = json_object(value.get("delta")) or json_object(value.get("response")) or value
    message: Final = holder.get("message")
    reason: Final = holder.get("finish_reason")
    usage: Final = json_object(holder.get("usage")) or json_object(holder.get("meta"))
    return Signs(
        says=_says_in(json_object(message)) or _says_in(value) or (holder is not value and _says_in(holder)),
        reason=_reason(reason) if reason else None,
        tokens=_number(json_object(usage.get("tokens")).get("output_tokens")),
        is_end=is_end,
    )


def _signs_of_converse(value: JsonObject) -> Signs:
    """Bedrock's Converse, whole and the bodies of its events."""
    said: Final = json_object(json_object(value.get("output")).get("message"))
    stop: Final = value.get("stopReason")
    tokens: Final = _number(json_object(value.get("usage")).get("outputTokens"))
    says: Final = _says_in(said) or _says(value.get("delta")) or bool(value.get("start"))
    return Signs(says, _reason(stop) if stop else None, tokens, bool(stop))


def _is_empty(signs: Signs) -> bool:
    ended_at_once: Final = signs.tokens > 0 and signs.reason is not None
    return not signs.says and not ended_at_once and (signs.reason or "") in ORDINARY_ENDS


def _failure_in(api: Api, value: object) -> Failure | None:
    """The failure that an answer or an event tells of."""
    error: Final = error_in(value)
    if error is not None:
        return failure_of_error(error)
    if not isinstance(value, dict):
        return None
    if api is Api.RESPONSES:
        told: Final = error_in(value.get("response"))
        if told is not None or value.get("type") == "response.failed":
            return failure_of_error(told or ErrorObject(("server_error",)))
    for reason in _reasons_in(api, value):
        if reason in STATUS_OF_END:
            return failure_of_error(ErrorObject((), status=STATUS_OF_END[reason]))
    return None


def _reasons_in(api: Api, value: JsonObject) -> Iterator[str]:
    """The reasons for its end that an answer or an event gives."""
    if api is Api.CHAT:
        for choice in json_array(value.get("choices")):
            yield from (_reason(json_object(choice).get(name)) for name in NAMES_OF_REASON)
    elif api in (Api.COHERE, Api.RESPONSES):
        for holder in (value, json_object(value.get("delta")), json_object(value.get("response"))):
            yield _reason(holder.get("finish_reason" if api is Api.COHERE else "status"))


def error_in(value: object) -> ErrorObject | None:
    """The error object of a decoded answer or event, None if it is no error. Never raises."""
    if isinstance(value, list):
        value = value[0] if value and isinstance(value[0], dict) and value[0].get("error") else None
    if not isinstance(value, dict):
        return None
    for told in _told_errors(value):
        if told and _is_meant(told):
            return _read({"error": told} if isinstance(told, dict) else value)
    if value.get("object") == "error" or value.get("type") == "error" or _is_flat_error(value):
        return _read(value)
    minimax: Final = json_object(value.get("base_resp"))
    if isinstance(minimax.get("status_code"), int) and minimax["status_code"]:
        return ErrorObject((), _text(minimax.get("status_msg")), _status_by_number(minimax))
    return None


def _read(value: JsonObject) -> ErrorObject | None:
    """The error object in a body, with the status that its number stands for if it has none."""
    found: Final = error_object_in(value)
    if found is None or found.status is not None:
        return found
    return found._replace(status=_status_by_number(json_object(value.get("error")) or value))


def _status_by_number(error: JsonObject) -> int | None:
    """The HTTP status that a number which a provider documents says, as a number or in digits."""
    for field, status_of in STATUS_OF_NUMBER.items():
        told = _text(error.get(field))
        if told.isascii() and told.isdigit() and len(told) <= _MOST_DIGITS and int(told) in status_of:
            return status_of[int(told)]
    return None


def _told_errors(value: JsonObject) -> Iterator[object]:
    """What may be an error where one is looked for."""
    for told in (value.get("error"), value.get("errors")):
        yield (told[0] if told else None) if isinstance(told, list) else told
    for choice in json_array(value.get("choices")):
        yield json_object(choice).get("error")
    yield json_object(value.get("x_groq")).get("error")  # https://console.groq.com/docs/api-reference
    detail: Final = json_object(value.get("detail"))  # ElevenLabs'
    yield detail if _has_error_text(detail) and any(map(detail.get, ("code", "status", "type"))) else None


def _is_meant(error: object) -> bool:
    """Whether an `error` that is not empty is one: some providers send one of success with every answer."""
    names: Final = ("message", "error", "code", "type", "status", "status_code", "http_status", "reason")
    told: Final = [error.get(name) for name in names] if isinstance(error, dict) else [error]
    return any(one and _text(one).lower() not in _OF_SUCCESS for one in told)


def _is_flat_error(value: JsonObject) -> bool:
    """Whether an object is an error by a code of its own and a text beside it."""
    if not _has_error_text(value):
        return False
    if value.get("success") is False or any(
        _text(value.get(name)).lower() not in _OF_SUCCESS for name in _CODES_OF_ERRORS
    ):
        return True
    for name in ("code", "status_code", "statusCode", "status", "type", "__type"):
        code = value.get(name)
        if isinstance(code, int) and 400 <= code <= 599:
            return True
        if isinstance(code, str) and (code.rpartition("#")[2].lower() in STATUS_OF_CODE or _is_error_number(code)):
            return True
    return False


def _says_only_what_is_wrong(api: Api, value: object) -> bool:
    """Whether an event amid the words of a chat is an error without a code: a text, and nothing that a chunk has."""
    if api is not Api.CHAT or not isinstance(value, dict) or not value.keys().isdisjoint(_FIELDS_OF_A_CHUNK):
        return False
    return _has_error_text(value)


def _has_error_text(value: JsonObject) -> bool:
    if _TEXTS_OF_ERRORS.isdisjoint(value):  # most often
        return False
    return any(isinstance(value.get(name), str) and value[name] for name in _TEXTS_OF_ERRORS)


def _is_error_number(code: str) -> bool:
    return len(code) == 3 and code.isascii() and code.isdigit() and 400 <= int(code) <= 599


def _tells_of_failure(value: object, name: str) -> bool:
    """Whether an event is one of failure by its name, or its type."""
    kind: Final = value.get("type") if isinstance(value, dict) else None
    return name == "error" or (isinstance(kind, str) and kind in _EVENTS_OF_FAILURE)


def _named_error(value: object) -> Failure:
    """An event called `error` is one, whatever it holds."""
    return failure_of_error(error_object_in(value) or ErrorObject((), _text(value)))


def _says_in(message: JsonObject) -> bool:
    if CONTENT_FIELDS.isdisjoint(message):
        return False
    return any(name in CONTENT_FIELDS and _says(value) for name, value in message.items())


def _says(value: object, levels: int = _MOST_LEVELS) -> bool:
    """Whether there is anything in a value but labels."""
    if not levels:
        return True
    if isinstance(value, str):
        return bool(value)
    if isinstance(value, dict):
        return any(_says(part, levels - 1) for name, part in value.items() if name not in LABELS)
    return isinstance(value, list) and any(_says(part, levels - 1) for part in value)


def _reason(value: object) -> str:
    return value.lower() if isinstance(value, str) else ""


def _number(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0


def _text(value: object) -> str:
    if isinstance(value, str):
        return value
    return "" if value is None or isinstance(value, (dict, bool)) else str(value)[:200]
