"""
How a chat stream that has broken off goes on: what a second answer is asked with, and how it is joined to the words the
caller already has. Pure: no router, no clock, nothing is read or written here.

Nothing of a second answer is passed on before it is sure to follow what has been sent, so that no word is doubled, lost
or another answer's.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from types import MappingProxyType
from typing import Final

from litellm.litellm_core_utils.exception_chain import fields_of
from litellm.router_utils.failover.token_estimates import estimated_tokens

MOST_HELD: Final = 64 * 1024 * 1024
"""Bytes that are kept back for one caller, at the most and about: some 19,000 events of a few words."""

_MATERIAL: Final = (
    *("tool_calls", "function_call", "reasoning_content", "thinking_blocks"),
    *("audio", "images", "annotations", "refusal"),
)
_LIMITS: Final = ("max_tokens", "max_completion_tokens", "max_output_tokens")
"""Fields of a request that say how many tokens an answer may have."""

_PLAIN_FORMATS: Final = (None, {"type": "text"})
_CONSTRAINTS: Final = ("reasoning_effort", "audio", "logprobs", "functions", "output_format")
_OFF: Final = (None, False, "", "none", "disabled", "disable")
_NOT_FORCED: Final = (None, "auto", "none")


class Half(Enum):
    """What a second answer is asked with."""

    CONTINUED = "the words sent so far as an assistant prefill"
    RESTARTED = "the request as it was"


class Diverged(Exception):
    """A second answer does not surely follow what has been sent. `is_echo` says that it may be a whole one, where the
    rest was asked for."""

    def __init__(self, *, is_echo: bool) -> None:
        super().__init__("the second answer is another one")
        self.is_echo: Final = is_echo


@dataclass(slots=True)
class Sent:
    """What the caller has of an answer: its words, whether anything that is no text, and whether its end."""

    words: list[str] = field(default_factory=list)
    has_more: bool = False
    is_finished: bool = False

    @property
    def text(self) -> str:
        return "".join(self.words)

    def add(self, content: object, delta: object, finish_reason: object) -> None:
        """Remember what a chunk of the stream has passed on."""
        if isinstance(content, str) and content:
            self.words.append(content)
        if finish_reason is not None:
            self.is_finished = True
        if not self.has_more and has_material(delta):
            self.has_more = True


def has_material(delta: object) -> bool:
    """Whether a chunk has something of an answer that is no text: a call, a thought, a picture, a sound."""
    fields: Final = fields_of(delta)
    return any(fields.get(name) for name in _MATERIAL)


def halves(sent: Sent, request: Mapping[str, object]) -> tuple[Half, ...]:
    """What to ask for after a break, in this order; nothing where no second answer can be joined to what was sent."""
    if sent.is_finished or sent.has_more:
        return ()
    text: Final = sent.text
    if not text:
        return (Half.RESTARTED,)
    if _is_constrained(request):
        return ()
    has_tools: Final = bool(request.get("tools"))
    return (Half.RESTARTED,) if has_tools or not text.strip() else (Half.CONTINUED, Half.RESTARTED)


def _is_constrained(request: Mapping[str, object]) -> bool:
    """Whether the words of an answer are not all there is to it: it has a form, a thought before it, or siblings."""
    count: Final = request.get("n")
    output: Final = request.get("output_config")
    return (
        (isinstance(count, int) and count > 1)
        or request.get("response_format") not in _PLAIN_FORMATS
        or any(request.get(name) and request[name] not in _OFF for name in _CONSTRAINTS)
        or (isinstance(output, Mapping) and output.get("format") is not None)
        or _kind(request.get("thinking")) not in _OFF
        or _kind(request.get("tool_choice")) not in _NOT_FORCED
    )


def _kind(setting: object) -> object:
    """A setting in OpenAI's form, which is a word, or the `type` of one in Anthropic's."""
    return setting.get("type") if isinstance(setting, Mapping) else setting


def prefill(text: str) -> str:
    """What a model is given to continue `text`: providers refuse a prefill that ends in white space."""
    return text.rstrip()


class Splice:
    """Joins a second answer to what was `sent`.

    A restarted one has to begin with all of it. A continued one has to begin with the white space that its prefill
    lacks; should it begin with all of what was sent, then nobody can tell whether the model repeats it or began anew.
    """

    def __init__(self, sent: str, half: Half) -> None:
        self._half: Final = half
        self._whole: Final = sent
        self._due: Final = sent if half is Half.RESTARTED else sent[len(prefill(sent)) :]
        self._seen = ""
        self.is_joined = not sent

    def feed(self, piece: str) -> str:
        """What of the second answer's next `piece` the caller is to get. Raises Diverged."""
        if self.is_joined:
            return piece
        self._seen += piece
        return self._rest(is_over=False)

    def end(self) -> str:
        """What is left for the caller when the second answer is over. Raises Diverged."""
        return "" if self.is_joined else self._rest(is_over=True)

    def whole(self, text: str) -> str:
        """The answer that the caller has once the second one, all of which is `text`, is over."""
        if self._half is Half.RESTARTED:
            return text
        return prefill(self._whole) + text if text.strip() else self._whole

    def _rest(self, *, is_over: bool) -> str:
        seen, due = self._seen, self._due
        if not seen.startswith(due):
            if due.startswith(seen) and not is_over:
                return ""
            # A continued answer that has nothing more to say need not repeat the white space either.
            if not (is_over and not seen.strip() and self._half is Half.CONTINUED):
                raise Diverged(is_echo=self._half is Half.CONTINUED)
        if self._half is Half.CONTINUED and self._may_repeat(seen, is_over=is_over):
            return ""
        self.is_joined = True
        self._seen = ""
        return seen[len(due) :]

    def _may_repeat(self, seen: str, *, is_over: bool) -> bool:
        """Whether the second answer has so far been what was sent, so that the next piece has to tell."""
        whole: Final = self._whole.strip()
        said: Final = seen.lstrip()
        if said.startswith(whole):
            raise Diverged(is_echo=True)
        return not is_over and whole.startswith(said)


class Halves(ABC):
    """An answer in the format of an API: the items of its stream that were `passed_on`, and how those of a second one
    are joined to them."""

    is_read_at_once = True
    """Whether the caller can change an item, so that it is looked at before he has it, and not once it is needed."""

    prefill_fields: Mapping[str, object] = MappingProxyType({})
    """What a prefill has beside its role and its text."""

    def __init__(self) -> None:
        self.passed_on: list[object] = []
        self.half = Half.RESTARTED
        self.splice: Splice | None = None
        self._sent: Final = Sent()
        self._read = 0  # of the items passed on
        self._spent: Final[list[tuple[str, str]]] = []  # the models of what broke off, and what each has said
        self._tokens: Sequence[tuple[int, int]] = ()  # of each in `_spent`, as far as they were asked for
        self._counted = 0  # of the words sent, by `_spent`

    @property
    def sent(self) -> Sent:
        """What the caller has."""
        self._read_on()
        return self._sent

    def pass_on(self, item: object) -> None:
        """Remember what the caller is to get next."""
        self.passed_on.append(item)
        if self.is_read_at_once:
            self._note(item)
            self._read += 1

    def _read_on(self) -> None:
        for item in self.passed_on[self._read :]:
            self._note(item)
        self._read = len(self.passed_on)

    @property
    def is_first(self) -> bool:
        """Whether no answer has broken off yet, so that each item is passed on as it is."""
        return not self._spent and self.splice is None

    @property
    def is_joined(self) -> bool:
        """Whether what comes now surely follows what was sent."""
        return self.splice is None or self.splice.is_joined

    def wanted(self, request: Mapping[str, object]) -> tuple[Half, ...]:
        """What to ask for after a break of a `request`, or for one like it that a deployment would be sent, in this
        order; nothing where no second answer can be joined."""
        return halves(self.sent, request)

    def prefilled(self, request: Mapping[str, object]) -> dict[str, object]:
        """The fields of `request` by which the rest of what was sent is asked for."""
        messages: Final = request.get("messages")
        said: Final = {"role": "assistant", "content": prefill(self.sent.text), **self.prefill_fields}
        return {"messages": [*messages, said], **self._limits(request)} if isinstance(messages, (list, tuple)) else {}

    def _limits(self, request: Mapping[str, object]) -> dict[str, int]:
        """What is left of the tokens that the answer may have, as far as those sent can be counted."""
        limits: Final = {name: limit for name in _LIMITS if isinstance(limit := request.get(name), int)}
        said: Final = estimated_tokens(self._spent[-1][0], text=self.sent.text) if limits and self._spent else 0
        return {name: max(limit - said, 1) for name, limit in limits.items()}

    def join(self, half: Half) -> None:
        """Begin with a second answer."""
        self.half = half
        self.splice = Splice(self.sent.text, half)

    def broke(self, model: str, held: str) -> None:
        """Remember what has been said until the stream broke off; `held` are words that the caller was never sent."""
        words: Final = self.sent.words
        self._spent.append((model, held or "".join(words[self._counted :])))
        self._counted = len(words)

    def spent_tokens(self) -> Sequence[tuple[int, int]]:
        """The tokens read and said by each of the answers that broke off, as far as they can be estimated. Each is
        counted once for caller and log, which may ask from another thread."""
        known: Final = self._tokens
        new: Final = self._spent[len(known) :]
        self._tokens = [*known, *((self.prompt_tokens(one), estimated_tokens(one, text=said)) for one, said in new)]
        return self._tokens

    @property
    def cached_tokens(self) -> tuple[int, int]:
        """Of the tokens that one of them has read, those written to a prompt's cache, and those out of it."""
        return 0, 0

    def spent_in_all(self) -> tuple[int, int]:
        """The tokens read and said by all of them."""
        tokens: Final = self.spent_tokens()
        return sum(read for read, _ in tokens), sum(said for _, said in tokens)

    @abstractmethod
    def name(self) -> str | None:
        """The id of the answer that the caller has seen, None if none."""

    @abstractmethod
    def prompt_tokens(self, model: str) -> int:
        """How many tokens the request has for a model."""

    @abstractmethod
    def _note(self, item: object) -> None:
        """Remember in `_sent` what an item has passed on."""

    @abstractmethod
    def words_of(self, item: object) -> str:
        """The text in an item that is kept back."""

    @abstractmethod
    def take(self, item: object) -> Sequence[object]:
        """The items that the caller is to get for the next one. Raises Diverged."""
