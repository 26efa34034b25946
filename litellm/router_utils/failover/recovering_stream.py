"""
A stream that goes on at another deployment should it break off: it is read, held back where that is wanted, and joined
to a second answer, with or without an event loop.
"""

import contextlib
import functools
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from typing import Any, Final, Protocol

import litellm
from litellm.litellm_core_utils.exception_chain import safe_getattr
from litellm.litellm_core_utils.failure import failure_of
from litellm.litellm_core_utils.rescued_log import RESCUED, RescuedFailures, Spent
from litellm.litellm_core_utils.stream_start import PeekedStream
from litellm.router_utils.failover.deadline import Deadline, deadline_under_way
from litellm.router_utils.failover.policy import is_deployment_fault
from litellm.router_utils.failover.retry_state import Attempt, FailedAttempt, GroupTurn, RequestState, carrying
from litellm.router_utils.failover.router_view import (
    Deployment,
    Router,
    as_router,
    may_fall_back_to,
    setting_at,
)
from litellm.router_utils.failover.second_answers import Asks, Request, as_sent, groups_beyond, second_answers
from litellm.router_utils.failover.stream_recovery import MOST_HELD, Diverged, Half, Halves
from litellm.router_utils.failover.stream_settings import mode_of, read_mode
from litellm.router_utils.failover.token_estimates import estimated_cost
from litellm.router_utils.failover.total_timeout import deadline_for, run_within, timed_out

_EVENT: Final = 3500  # bytes that a chunk of LiteLLM's takes beside its text; measured on 1.110

_KEPT: Final = "spend_logs_metadata"
"""Of a request's metadata, the part that LiteLLM keeps in a standard logging object and in the proxy's spend logs."""

_MOST_NAMED: Final = 16
"""Failures that are named in a log."""

Ask = Callable[..., Any]  # any-ok: the router's own method, async or not


class Rescue:
    """What is known of a stream for the case that it breaks off. `metadata` is where its request has LiteLLM's own,
    `own` the request's mode, if it has one, and `seconds` how long words are held back, None for to the end."""

    def __init__(
        self,
        owner: object,
        ask: Ask,
        request: Request,
        answer: Halves,
        *,
        metadata: str,
        own: str | None,
        seconds: float | None,
    ) -> None:
        self.owner: Final = owner
        self.ask: Final = ask
        self.request: Final = request
        self.mode = own or mode_of(owner)
        self.state: Final = RequestState(is_recovered=self.mode != "off")
        self.answer: Final = answer
        self._metadata: Final = metadata
        self.deadline: Final = deadline_for(owner, dict(request))  # what is held back keeps to
        self.hold_until = None if seconds is None else time.monotonic() + seconds
        if self.deadline is not None:
            self.hold_until = min(self.deadline.nearly, self.hold_until or math.inf)
        self.taken: Final[list[object]] = []  # what the caller is to get next
        self.is_plain = False  # whether nothing but passing on is to be done
        self.is_holding = False
        self.is_over = False  # whether the caller has been told of a failure
        self._is_settled = False
        self._has_own: Final = own is not None
        self._error: Exception | None = None
        self._broken: Final[list[object]] = []  # the ids of who has broken off, as often as that

    @property
    def router(self) -> Router:
        """The router, which only a break and a deadline ask for."""
        return as_router(self.owner)

    def settle(self, stream: object) -> None:
        """Heed the mode of the deployment that `stream` comes from, if the request has none."""
        if self._is_settled:
            return
        self._is_settled = True
        name: Final = self.deployment_of(stream)
        if not self._has_own and name is not None:
            self.mode = read_mode(setting_at(self.owner, str(name), "stream_recovery")) or self.mode
        self.is_holding = self.mode == "hold"
        if self.deadline is not None:
            turn: Final = GroupTurn(str(self.request.get("model")), self.router, self.request, self.state)
            turn.attempt = Attempt(deployment_id=None if name is None else str(name))
            self.deadline.turn = turn

    def begins_plainly(self, stream: object) -> bool:
        """Whether nothing of `stream` has been read so far, and all that comes of it is to be passed on."""
        if self._is_settled:
            return False
        self.settle(stream)
        self.is_plain = not self.is_holding
        return self.is_plain

    def broke(self, stream: object, error: Exception, held: str) -> None:
        """Remember that `stream` has broken off with `error`; `held` are the words that the caller was never sent."""
        self.is_plain = False
        self.answer.broke(str(safe_getattr(stream, "model") or ""), held)
        name: Final = self.deployment_of(stream)
        self._broken.append(name)
        if isinstance(error, Diverged):
            return
        self._error = error
        failure: Final = failure_of(error)
        group: Final = str(self.request.get("model"))
        failed: Final = FailedAttempt(str(name), group, failure.kind, failure.http_status, failure.retry_after)
        self.state.attempts.append(failed)
        metadata: Final = self.request.get(self._metadata) or {}
        if isinstance(metadata, dict):  # the caller's, who may use it again
            self.request[self._metadata] = {**metadata, **self._named(metadata, f"{name}: {failure.kind.value}")}

    def _named(self, metadata: Mapping[str, object], failure: str) -> Mapping[str, object]:
        """What a request's metadata says of the failures that were rescued, the last of which is `failure`. What the
        user has there that is no such thing stays as it is."""
        earlier, kept = metadata.get(RESCUED), metadata.get(_KEPT) or {}
        named: Final = [*(earlier if isinstance(earlier, list) else ()), failure][-_MOST_NAMED:]
        for_logs: Final = {_KEPT: {**kept, RESCUED: list(named)}} if isinstance(kept, Mapping) else {}
        return {RESCUED: RescuedFailures(named, self), **for_logs}

    def name(self) -> str | None:
        """The id of the answer that the caller has seen, None if none."""
        return self.answer.name()

    def whole(self, text: str) -> str:
        """The answer of whose last half `text` is."""
        return text if self.answer.splice is None else self.answer.splice.whole(text)

    def spent(self) -> Spent:
        """What the halves that broke off have taken, as far as it can be estimated."""
        tokens: Final = self.answer.spent_tokens()
        owners: Final = [self.router.get_model_info(id=str(name)) or {} for name in self._broken]
        cached: Final = self.answer.cached_tokens
        cost: Final = sum(estimated_cost(owner, *each, cached) for owner, each in zip(owners, tokens, strict=False))
        return Spent(*self.answer.spent_in_all(), cost)

    def deployment_of(self, stream: object) -> object:
        """The id of the deployment that a stream comes from, None if nobody says."""
        params: Final = safe_getattr(stream, "_hidden_params")
        told: Final = params.get("model_id") if isinstance(params, dict) else None
        return self.state.asked if told is None else told

    def wanted(self, error: Exception) -> Sequence[Half]:
        """What to ask for after a break with `error`, in this order."""
        broken: Final = next((one.deployment_id for one in reversed(self.state.attempts)), "")
        possible: Final = self._joined(self.router.get_model_info(id=broken) or {})
        if isinstance(error, Diverged):
            return (Half.RESTARTED,) if error.is_echo and possible else ()
        is_hopeless: Final = self.mode == "off" or not is_deployment_fault(failure_of(error).kind)
        return () if is_hopeless or _is_guarded() else possible

    def _joined(self, deployment: Deployment) -> Sequence[Half]:
        """What can be joined to the words sent, if a deployment says them."""
        return self.answer.wanted(as_sent(self.router, self.request, deployment))

    def asks(self, error: Exception, wanted: Sequence[Half], denied: Sequence[str]) -> Asks:
        """The requests for a second answer, as `second_answers` has them. Raises what broke off if there is none."""
        rest: Final = self.answer.prefilled(self.request)
        asked: Final = (self.router, self.request, self.state, rest, wanted, denied)
        found: Final = yield from second_answers(*asked, error=self._error or error, joined=self._joined)
        if found is None:
            self.is_over = True
            if self.is_holding and self.deadline is not None and self.deadline.has_passed:
                raise timed_out(self.deadline) from error
            raise self._error or error
        return found


def _is_guarded() -> bool:
    """Whether a guardrail looks at answers: what it has passed or changed of a half is not the other half's."""
    from litellm.integrations.custom_guardrail import CustomGuardrail
    from litellm.types.guardrails import GuardrailEventHooks

    return any(
        isinstance(one, CustomGuardrail) and one._event_hook_is_event_type(GuardrailEventHooks.post_call)
        for one in litellm.callbacks
    )


class Calls(Protocol):
    """How a stream is read and a router asked: with or without an event loop."""

    async def next(self, stream: "RecoveringStream") -> object: ...
    async def close(self, stream: object) -> None: ...
    async def denied(self, rescue: Rescue) -> Sequence[str]: ...
    async def ask(self, rescue: Rescue, request: Request) -> object: ...
    async def hold(self, stream: "RecoveringStream") -> None: ...
    def events(self, answer: Any) -> object: ...  # any-ok: a stream of either kind


class _AsyncCalls:
    async def next(self, stream: "RecoveringStream") -> object:
        return await PeekedStream.__anext__(stream)

    async def close(self, stream: object) -> None:
        close: Final = safe_getattr(stream, "aclose")
        if callable(close):
            await close()

    async def denied(self, rescue: Rescue) -> Sequence[str]:
        beyond: Final = groups_beyond(rescue.router, rescue.request)
        return [one for one in beyond if not await may_fall_back_to(rescue.router, one, rescue.request)]

    async def ask(self, rescue: Rescue, request: Request) -> object:
        with carrying(rescue.state):
            return await rescue.ask(rescue.owner, **request)

    async def hold(self, stream: "RecoveringStream") -> None:
        deadline: Final[Deadline | None] = stream._rescue.deadline
        hold: Final = functools.partial(stream._hold, self)
        await (hold() if deadline is None else run_within(deadline, hold))

    def events(self, answer: AsyncIterator[object]) -> object:
        return answer.__aiter__()


class _SyncCalls:
    """Nothing here waits, so that `_at_once` can run what calls it."""

    async def next(self, stream: "RecoveringStream") -> object:
        try:
            return PeekedStream.__next__(stream)
        except StopIteration:
            raise StopAsyncIteration from None

    async def close(self, stream: object) -> None:
        close: Final = safe_getattr(stream, "close")
        if callable(close):
            close()

    async def denied(self, rescue: Rescue) -> Sequence[str]:
        return ()  # a proxy, which has keys, asks without blocking

    async def ask(self, rescue: Rescue, request: Request) -> object:
        with carrying(rescue.state):
            return rescue.ask(rescue.owner, **request)

    async def hold(self, stream: "RecoveringStream") -> None:
        deadline: Final[Deadline | None] = stream._rescue.deadline
        with contextlib.nullcontext() if deadline is None else deadline_under_way(deadline):
            await stream._hold(self)

    def events(self, answer: Iterator[object]) -> object:
        return iter(answer)


ASYNC: Final[Calls] = _AsyncCalls()
SYNC: Final[Calls] = _SyncCalls()


def _at_once(reading: Coroutine[object, None, object]) -> object:
    """What a coroutine returns that waits for nothing."""
    try:
        reading.send(None)
    except StopIteration as done:
        return done.value
    except StopAsyncIteration:
        raise StopIteration from None
    raise RuntimeError("a stream that is read without an event loop has waited for one")


class RecoveringStream(PeekedStream):
    """A stream that goes on at another deployment should it break off; it passes for the one that is being read."""

    def __init__(self, stream: object, events: object, rescue: Rescue) -> None:
        super().__init__(stream, self._events_of(stream, events), [])
        object.__setattr__(self, "_rescue", rescue)

    async def __anext__(self) -> object:
        rescue: Final[Rescue] = self._rescue
        if not rescue.is_plain and not rescue.begins_plainly(self._stream):
            return await self._next(ASYNC)
        try:
            item = await super().__anext__()
        except StopAsyncIteration:
            raise
        except Exception as error:
            return await self._next(ASYNC, error)
        rescue.answer.pass_on(item)
        return item

    def __next__(self) -> object:
        rescue: Final[Rescue] = self._rescue
        if not rescue.is_plain and not rescue.begins_plainly(self._stream):
            return _at_once(self._next(SYNC))
        try:
            item = super().__next__()
        except StopIteration:
            raise
        except Exception as error:
            return _at_once(self._next(SYNC, error))
        rescue.answer.pass_on(item)
        return item

    async def _next(self, calls: Calls, error: Exception | None = None) -> object:
        """What the caller gets next, where that is more than the stream's next item, or after an `error` of it."""
        rescue: Final[Rescue] = self._rescue
        if rescue.is_over:
            raise StopAsyncIteration
        rescue.settle(self._stream)
        while not rescue.taken:
            if error is not None:
                await self._recover(calls, error)
            if rescue.is_holding:
                await self._hold_back(calls)
            try:
                rescue.taken.extend(rescue.answer.take(await self._read(calls)))
            except StopAsyncIteration:
                if rescue.answer.is_joined:
                    raise
                error = Diverged(is_echo=rescue.answer.half is Half.CONTINUED)
            except Exception as failure:
                error = failure
            else:
                error = None
                rescue.is_plain = rescue.answer.is_first
        return rescue.taken.pop(0)

    async def _read(self, calls: Calls) -> object:
        return await calls.next(self)

    async def _recover(self, calls: Calls, error: Exception, held: str = "") -> None:
        """Go on with a second answer. Raises what the stream broke off with if there is none."""
        rescue: Final[Rescue] = self._rescue
        rescue.broke(self._stream, error, held)
        wanted: Final = rescue.wanted(error)
        await self._let_go(calls, error, is_superseded=bool(wanted))
        asks: Final = rescue.asks(error, wanted, await calls.denied(rescue) if wanted else ())
        try:
            asked = next(asks)
            while True:
                try:
                    answer = await calls.ask(rescue, asked)
                except Exception as failure:
                    asked = asks.throw(failure)
                else:
                    asked = asks.send(answer)
        except StopIteration as found:
            answer, half = found.value
        object.__setattr__(self, "_stream", answer)
        object.__setattr__(self, "_events", self._events_of(answer, calls.events(answer)))
        rescue.answer.join(half)

    async def _let_go(self, calls: Calls, error: Exception, *, is_superseded: bool) -> None:
        """Close what is left behind though it goes on; `is_superseded` if a second answer is asked for."""
        if isinstance(error, Diverged):
            await calls.close(self._stream)

    def _events_of(self, stream: object, events: Any) -> object:  # any-ok: an iterator of either kind
        """What is read of a stream."""
        return events

    async def _hold_back(self, calls: Calls) -> None:
        try:
            await calls.hold(self)
        except Exception:
            self._rescue.is_over = True
            raise

    async def _hold(self, calls: Calls) -> None:
        """Keep back what comes, until it is complete or has been kept back for long enough."""
        rescue: Final[Rescue] = self._rescue
        held = _Held(rescue.hold_until)
        while not held.is_enough:
            try:
                item = await self._read(calls)
                held.add(item, rescue.answer.words_of(item))
            except StopAsyncIteration:
                break
            except Exception as error:
                await self._recover(calls, error, held.text)
                held = _Held(rescue.hold_until)
        rescue.is_holding = False
        object.__setattr__(self, "_held_back", held.items)


class _Held:
    """What is kept back of a stream, `until` a moment of the monotonic clock or, without one, its end."""

    def __init__(self, until: float | None) -> None:
        self.items: Final[list[object]] = []
        self._words: Final[list[str]] = []
        self._size = 0
        self._until: Final = until

    @property
    def text(self) -> str:
        return "".join(self._words)

    @property
    def is_enough(self) -> bool:
        return self._size > MOST_HELD or (self._until is not None and time.monotonic() >= self._until)

    def add(self, item: object, words: str) -> None:
        self.items.append(item)
        self._words.append(words)
        self._size += _EVENT + (len(item) if isinstance(item, bytes) else len(words))
