"""
The two halves of a chat's stream: what the caller has of the first one, and what of a second answer's chunks he is to
get after it.
"""

from collections.abc import Sequence
from types import MappingProxyType
from typing import Any, Final

from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.rescued_log import with_earlier_tokens
from litellm.router_utils.failover.stream_recovery import Diverged, Halves, Splice, has_material
from litellm.router_utils.failover.token_estimates import estimated_tokens
from litellm.types.utils import ModelResponseStream


class ChatHalves(Halves):
    """The chunks of a chat, whose `messages` are counted where it is told what was spent on them."""

    prefill_fields = MappingProxyType({"prefix": True})  # asked for by DeepSeek and Mistral

    def __init__(self, messages: object) -> None:
        super().__init__()
        self._messages: Final = messages
        self._id: str | None = None

    def name(self) -> str | None:
        return self._id

    def prompt_tokens(self, model: str) -> int:
        return estimated_tokens(model, messages=self._messages)

    def _note(self, item: object) -> None:
        if self._id is None and (known := safe_getattr(item, "id")) is not None:
            self._id = str(known)
        choices: Final[Any] = safe_getattr(item, "choices")
        for choice in choices or ():
            self._sent.add(choice.delta.content, choice.delta, choice.finish_reason)
            self._sent.has_more |= bool(safe_getattr(choice, "index"))  # several answers are not joined

    def words_of(self, item: object) -> str:
        choices: Final[Any] = safe_getattr(item, "choices")
        content: Final = choices[0].delta.content if choices else None
        return content if isinstance(content, str) else ""

    def take(self, item: object) -> Sequence[object]:
        if not self.is_first:
            if isinstance(item, ModelResponseStream):
                item = item.model_copy(deep=True)  # LiteLLM keeps its own, for what it logs and caches
            choices: Final[Any] = safe_getattr(item, "choices")
            if choices and self.splice is not None and not self._joined(choices[0], self.splice):
                return ()
            if self._id is not None and isinstance(item, ModelResponseStream):
                item.id = self._id
            if safe_getattr(item, "usage") is not None:
                self._add_spent(item)
        self.pass_on(item)
        return (item,)

    def _joined(self, choice: Any, splice: Splice) -> bool:  # any-ok: LiteLLM's choice of a chunk
        """Whether there is something in a second answer's chunk for the caller, who then gets that alone."""
        delta: Final = choice.delta
        if self.sent.words:
            delta.role = None
        if splice.is_joined:
            return True
        if has_material(delta):
            raise Diverged(is_echo=False)
        rest = splice.feed(delta.content) if isinstance(delta.content, str) and delta.content else ""
        if choice.finish_reason is not None:
            rest += splice.end()
        delta.content = rest or None
        return bool(rest) or choice.finish_reason is not None

    def _add_spent(self, item: Any) -> None:  # any-ok: a chunk, which LiteLLM gives a usage by setting it
        """Add to a second answer's usage what the halves before it have cost. That is counted here, since counting
        takes a while and not every caller asks for it."""
        item.usage = with_earlier_tokens(item.usage, *self.spent_in_all())
