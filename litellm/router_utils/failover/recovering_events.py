"""
Streams that are recovered and whose failures may come in an event, of which the caller is then told by that event.
"""

from collections.abc import AsyncIterator
from typing import Any, Final, NoReturn

from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.failed_attempt_log import closed_for, report_failed_stream
from litellm.litellm_core_utils.release_differences import logs_broken_messages
from litellm.litellm_core_utils.stream_start import ErrorEvent, error_told_by, unreadable_event
from litellm.router_utils.failover.cooldown import count_failure
from litellm.router_utils.failover.message_halves import PartOfEvent, split_at_failure, whole_events
from litellm.router_utils.failover.recovering_stream import ASYNC, Calls, RecoveringStream, Rescue
from litellm.router_utils.failover.responses_halves import failed_response
from litellm.router_utils.failover.router_view import counts_logged_failures
from litellm.router_utils.failover.stream_recovery import Diverged

_PROVIDERS_STREAMS: Final = ("async_sse_wrapper", "chunk_processor")
"""LiteLLM's functions for a stream of /v1/messages that is the provider's own, and not a bridge's, which logs."""


class _RecoveringEvents(RecoveringStream):
    """As `RecoveringStream`; a failure that came in an event is told by that event."""

    def __init__(self, stream: object, events: object, rescue: Rescue) -> None:
        super().__init__(stream, events, rescue)
        object.__setattr__(self, "_told", None)
        object.__setattr__(self, "_is_logged", False)

    async def __anext__(self) -> object:
        try:
            return await self._next(ASYNC)
        except Exception as error:
            if not self._has_told(error) or self._told[0] is None:
                raise
            return self._told[0]

    async def _recover(self, calls: Calls, error: Exception, held: str = "") -> None:
        object.__setattr__(self, "_is_logged", False)
        try:
            await super()._recover(calls, error, held)
        except Exception:
            if self._is_logged:
                await report_failed_stream(self._rescue.request.get("litellm_logging_obj"), error)
            raise

    async def _let_go(self, calls: Calls, error: Exception, *, is_superseded: bool) -> None:
        rescue: Final[Rescue] = self._rescue
        has_told: Final = self._has_told(error)
        if isinstance(error, Diverged) or (has_told and is_superseded):
            with closed_for(error if has_told else None) as closing:
                await calls.close(self._stream)
            object.__setattr__(self, "_is_logged", closing.is_logged)
        elif has_told:
            await calls.close(self._stream)
        is_counted: Final = self._is_logged and counts_logged_failures(rescue.router)
        if self._is_uncounted(error) and not is_counted:
            count_failure(rescue.router, rescue.deployment_of(self._stream), error)

    def _is_uncounted(self, error: Exception) -> bool:
        """Whether LiteLLM does not take this for a failure: in an event, but for those of its bridges."""
        return self._has_told(error) and not isinstance(self._told[0], ErrorEvent)

    def _has_told(self, error: Exception) -> bool:
        return self._told is not None and error is self._told[1]

    def _raise(self, event: object, failure: Exception) -> NoReturn:
        """Take an event for the failure that it tells of; of one that nobody can read the caller gets the failure."""
        object.__setattr__(self, "_told", (event, failure))
        raise failure


class RecoveringMessages(_RecoveringEvents):
    """For the events of /v1/messages, of which one of failure is the provider's or that of one of LiteLLM's bridges."""

    def _events_of(self, stream: object, events: Any) -> object:  # any-ok: an iterator of either kind
        return _judged(stream, events)

    def _is_uncounted(self, error: Exception) -> bool:
        if self._told is not None or isinstance(error, Diverged) or logs_broken_messages():
            return super()._is_uncounted(error)
        made_by: Final = safe_getattr(self._stream, "ag_code")
        return safe_getattr(made_by, "co_name") in _PROVIDERS_STREAMS

    async def _read(self, calls: Calls) -> object:
        item: Final = await super()._read(calls)
        if isinstance(item, _ProvidersError):
            self._raise(bytes(item) or None, item.failure)
        if isinstance(item, ErrorEvent):
            self._raise(item, item.failure)
        return item


class _ProvidersError(ErrorEvent):
    """An event of failure that the provider has sent; empty in place of one that is no JSON."""


async def _judged(stream: object, pieces: AsyncIterator[object]) -> AsyncIterator[object]:
    """The pieces of a stream of /v1/messages, each of whole events, up to one of failure."""
    async for piece in whole_events(pieces):
        found = None
        if isinstance(piece, bytes) and not isinstance(piece, (ErrorEvent, PartOfEvent)):
            found = split_at_failure(piece)
        if found is None:
            yield piece
            continue
        if found.before:
            yield found.before
        if found.data is None:
            yield _ProvidersError(b"", unreadable_event(stream))
        else:
            yield _ProvidersError(found.told, error_told_by(stream, found.data) or Exception(found.told))


class RecoveringResponses(_RecoveringEvents):
    """For the events of /v1/responses, of which LiteLLM before 1.95 passes on one of failure."""

    async def _read(self, calls: Calls) -> object:
        item: Final = await super()._read(calls)
        told: Final = failed_response(item)
        failure: Final = None if told is None else error_told_by(self._stream, told)
        if failure is not None:
            self._raise(item, failure)
        return item
