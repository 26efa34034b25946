"""
What is logged of a stream whose second half came from another deployment: the answer that the caller has, under the id
the caller knows, with what all its halves have cost. LiteLLM logs the last half by itself.
"""

import functools
import weakref
from collections.abc import Callable, Mapping
from typing import Any, Final, NamedTuple, Protocol

from litellm._logging import verbose_logger
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.release_differences import price_of
from litellm.types.llms.openai import ResponsesAPIResponse
from litellm.types.utils import ModelResponse, Usage
from pydantic import BaseModel

RESCUED: Final = "rescued_failures"
"""Where the metadata of a request names the failures of halves that were rescued, for callbacks."""

_METADATA: Final = ("metadata", "litellm_metadata")
_JOINED: Final = "joined_halves"
"""What marks an answer that is whole, since the same one may be assembled again."""


class Spent(NamedTuple):
    """What the halves that broke off have taken: tokens, and US dollars."""

    prompt_tokens: int
    completion_tokens: int
    cost: float


class EarlierHalves(Protocol):
    """What is known of the halves before the last one, once that is over."""

    def name(self) -> str | None:
        """The id of the answer that the caller has seen, None if that is the last half's own."""

    def whole(self, text: str) -> str:
        """The answer of whose last half `text` is."""

    def spent(self) -> Spent:
        """What they have taken."""


class RescuedFailures(list[str]):
    """The failures that were rescued, with the halves that they ended; for another process it is a plain list."""

    def __init__(self, names: list[str], halves: EarlierHalves) -> None:
        super().__init__(names)
        self.halves: Final = halves
        self._logged_by: weakref.ref[object] | None = None

    def are_of(self, logging: object) -> bool:
        """Whether what `logging` logs is the answer with these halves: the first that asks, and no other request to
        which somebody has passed the metadata on."""
        if self._logged_by is None:
            self._logged_by = weakref.ref(logging)
        return self._logged_by() is logging

    def __deepcopy__(self, memo: object) -> "RescuedFailures":
        return self

    def __reduce__(self) -> tuple[type, tuple[list[str]]]:
        return (list, (list(self),))


def log_whole_answer(assemble: Callable[..., object]) -> Callable[..., object]:
    """Wrap `Logging._get_assembled_streaming_response`, by whose answer LiteLLM's cost, usage and callbacks go."""

    @functools.wraps(assemble)
    def assembled_response(self: Any, *args: object, **kwargs: object) -> object:  # any-ok: LiteLLM's Logging
        response: Final = assemble(self, *args, **kwargs)
        if not isinstance(response, (ModelResponse, ResponsesAPIResponse)):
            return response
        if _JOINED in _fields_of(safe_getattr(response, "_hidden_params")):
            return response
        halves: Final = _halves_of(self)
        if halves is None:
            return response
        try:
            self.model_call_details.pop("combined_usage_object", None)  # of the half that broke off, on a shared object
            spent: Final = halves.spent()
            whole: Final = _joined(response, halves, spent, price_of(self, response))
            self.cost_breakdown = _with_earlier(safe_getattr(self, "cost_breakdown"), spent.cost)
            return whole
        except Exception:  # the last half by itself is a better log than none
            verbose_logger.exception("The log of a rescued stream has its last half alone")
            return response

    return assembled_response


def _fields_of(holder: object) -> Mapping[str, Any]:  # any-ok: LiteLLM's own, of whatever it keeps there
    return holder if isinstance(holder, Mapping) else {}


def _halves_of(logging: object) -> EarlierHalves | None:
    params: Final = _fields_of(safe_getattr(logging, "litellm_params"))
    for name in _METADATA:
        found = _fields_of(params.get(name)).get(RESCUED)
        if isinstance(found, RescuedFailures) and found.are_of(logging):
            return found.halves
    return None


def _joined(
    response: ModelResponse | ResponsesAPIResponse, halves: EarlierHalves, spent: Spent, price: float | None
) -> ModelResponse | ResponsesAPIResponse:
    """A copy of the last half that is the whole answer. The half itself may be on its way to the caller."""
    whole: Final = response.model_copy(deep=True)
    whole.id = halves.name() or whole.id
    _complete(whole, halves)
    usage: Final = with_earlier_tokens(safe_getattr(whole, "usage"), spent.prompt_tokens, spent.completion_tokens)
    setattr(whole, "usage", usage)  # noqa: B010  # undeclared in a chat's
    cost: Final = {} if price is None and not spent.cost else {"response_cost": (price or 0.0) + spent.cost}
    whole._hidden_params = {**_fields_of(safe_getattr(response, "_hidden_params")), **cost, _JOINED: True}
    return whole


def _with_earlier(breakdown: object, cost: float) -> object:
    """LiteLLM's breakdown of a last half's cost, with that of the earlier ones where LiteLLM has it for its own
    continuation; None as long as there is none."""
    if not isinstance(breakdown, Mapping):
        return breakdown
    more: Final = {**(breakdown.get("additional_costs") or {}), "mid_stream_partial_cost": cost}
    return {**breakdown, "total_cost": (breakdown.get("total_cost") or 0.0) + cost, "additional_costs": more}


def _complete(answer: ModelResponse | ResponsesAPIResponse, halves: EarlierHalves) -> None:
    """Put the whole text into an answer's only message."""
    if isinstance(answer, ModelResponse):
        holders, name = [safe_getattr(choice, "message") for choice in answer.choices], "content"
    else:
        holders, name = [part for item in answer.output for part in _field(item, "content") or ()], "text"
    for holder in holders[:1]:
        text = halves.whole(str(_field(holder, name) or ""))
        if isinstance(holder, dict):
            holder[name] = text
        elif text:  # an answer of tool calls alone has none
            setattr(holder, name, text)


def _field(holder: object, name: str) -> Any:  # any-ok: of LiteLLM's answer, a part of which may be a dict
    return holder.get(name) if isinstance(holder, Mapping) else safe_getattr(holder, name)


def with_earlier_tokens(usage: object, read: int, said: int) -> object:
    """A usage of a last half, or one that LiteLLM has written out, with the tokens that the earlier halves have read
    and said. Its cost, of the last half alone, is left out: those before it may have had other prices."""
    known: Final = usage.model_dump(exclude_none=True) if isinstance(usage, BaseModel) else {**_fields_of(usage)}
    prompt: Final = (known.get("prompt_tokens") or 0) + read
    completion: Final = (known.get("completion_tokens") or 0) + said
    tokens: Final = {"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion}
    known.pop("cost", None)
    return {**known, **tokens} if isinstance(usage, Mapping) else Usage(**{**known, **tokens})
