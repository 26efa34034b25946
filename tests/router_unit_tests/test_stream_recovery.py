"""A chat stream that breaks off is finished by another deployment, over sockets."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import litellm
import openai
import pytest
from litellm import Router
from litellm.integrations.custom_logger import CustomLogger
from litellm.litellm_core_utils.rescued_log import RESCUED
from litellm.router_utils.failover import recovering_stream
from litellm.types.router import RetryPolicy

from support.inband_calls import CALLS
from support.inband_calls import GROUP as ITS_GROUP
from support.routing import GROUP, MESSAGES, deployment, failures, routed, until
from support.scripted_provider import HEALTHY_STREAM, ScriptedProvider, Step, Stream

ANSWER = "one two three four five six"
CUT = Stream(cut_after=3)
WAYS = {
    "cut": CUT,
    "reset": Stream(cut_after=3, reset=True),
    "stalled": Stream(stall_after=3, stall=30),
    "garbled": Stream(garbled_chunk=5),
}
MODES = ("async", "sync")
in_both_modes = pytest.mark.parametrize("mode", MODES)


class Provided:
    """A router, and the providers behind it by the name of their group and place."""

    def __init__(self, router: Router, providers: Sequence[ScriptedProvider]) -> None:
        self.router = router
        self.providers = providers

    @property
    def prefilled(self) -> list[list[bool]]:
        return [[arrival.prefilled for arrival in one.arrivals] for one in self.providers]


@contextmanager
def provided(
    *steps: Step,
    group: Sequence[str] = (GROUP, GROUP),
    continues: bool = True,
    takes_prefill: bool = True,
    answers: Sequence[str] = (ANSWER, ANSWER, ANSWER),
    own: str | None = None,
    **settings: Any,
) -> Iterator[Provided]:
    """A router over a provider for each step; the first is asked first, since the others have next to no weight."""
    with ExitStack() as stack:
        providers = [
            stack.enter_context(ScriptedProvider([step], answer=answer, take_prefill=takes_prefill))
            for step, answer in zip(steps, answers, strict=False)
        ]
        listed = []
        for number, (name, provider) in enumerate(zip(group, providers, strict=True)):
            stalls: dict[str, Any] = {"stream_timeout": 0.5} if steps[number] == WAYS["stalled"] else {}
            one = deployment(f"{number}", "openai", provider.url, group=name, **stalls)
            one["model_info"]["supports_assistant_prefill"] = continues
            one["litellm_params"]["weight"] = 1e-9 if number else 1
            if own is not None:
                one["litellm_params"]["stream_recovery"] = own
            listed.append(one)
        yield Provided(stack.enter_context(routed(listed, **{"num_retries": 2, **settings})), providers)


async def chunks(router: Router, mode: str, heard: list[Any] | None = None, **request: Any) -> list[Any]:
    """What the caller gets; in `heard` also where the stream raises in the end."""
    asked: dict[str, Any] = {"model": GROUP, "messages": MESSAGES, "stream": True, **request}
    got: list[Any] = [] if heard is None else heard
    if mode == "async":
        async for chunk in await router.acompletion(**asked):
            got.append(chunk)
    else:
        await asyncio.to_thread(lambda: got.extend(router.completion(**asked)))
    return got


def text(of: Sequence[Any]) -> str:
    return "".join(one.choices[0].delta.content or "" for one in of if one.choices)


def ends(of: Sequence[Any]) -> list[str]:
    return [one.choices[0].finish_reason for one in of if one.choices and one.choices[0].finish_reason]


@in_both_modes
@pytest.mark.parametrize("way", WAYS)
async def test_sibling_continues(mode: str, way: str) -> None:
    """The rest comes from the other deployment, which is given what was sent."""
    with provided(WAYS[way], HEALTHY_STREAM) as at:
        heard = await chunks(at.router, mode)
        assert (text(heard), ends(heard)) == (ANSWER, ["stop"])
        assert len({one.id for one in heard}) == 1
        assert at.prefilled == [[False], [True]]


OTHERS = {call.api: call for call in CALLS if call.name in ("anthropic, messages stream", "openai, responses stream")}


@pytest.mark.parametrize(
    ("api", "way"),
    [*((api, way) for api in OTHERS for way in ("reset", "stalled")), ("messages stream", "garbled")],
)
async def test_other_apis_are_continued(api: str, way: str) -> None:
    """So does the rest of a message, and of a response; the failure is counted once."""
    with ExitStack() as stack:
        steps = (WAYS[way], HEALTHY_STREAM)
        providers = [stack.enter_context(ScriptedProvider([step], answer=ANSWER)) for step in steps]
        listed = []
        for number, one in enumerate(providers):
            params = {**OTHERS[api].params(one.url), "stream_timeout": 0.5, "weight": 1e-9 if number else 1}
            info = {"id": f"{number}", "supports_assistant_prefill": True}
            listed.append({"model_name": ITS_GROUP, "litellm_params": params, "model_info": info})
        router = stack.enter_context(routed(listed, num_retries=2))
        assert await OTHERS[api].ask(router) == ANSWER
        assert [[arrival.prefilled for arrival in one.arrivals] for one in providers] == [[False], [True]]
        assert await until(lambda: failures(router, "0"))
        assert failures(router, "0") == 1


@in_both_modes
async def test_fallback_continues(mode: str) -> None:
    """Where the group has no other deployment its fallback goes on."""
    settings: Any = {"fallbacks": [{GROUP: ["fallback"]}], "num_retries": 0}
    with provided(CUT, HEALTHY_STREAM, group=(GROUP, "fallback"), **settings) as at:
        assert text(await chunks(at.router, mode)) == ANSWER
        assert at.prefilled == [[False], [True]]


@in_both_modes
@pytest.mark.parametrize("continues", [True, False], ids=["refused", "unable"])
async def test_restart_is_spliced(mode: str, continues: bool) -> None:
    """Without a prefill the whole answer is asked for, and its rest passed on; a refusal is not shown."""
    with provided(CUT, HEALTHY_STREAM, continues=continues, takes_prefill=False) as at:
        assert text(await chunks(at.router, mode)) == ANSWER
        assert at.prefilled[1] == ([True, False] if continues else [False])


@in_both_modes
async def test_another_answer_is_an_error(mode: str) -> None:
    """The first half's failure is raised where the second answer is another one, of which nothing is shown."""
    heard: list[Any] = []
    with provided(CUT, HEALTHY_STREAM, continues=False, answers=(ANSWER, "one two 3 4 5")) as at:
        with pytest.raises(openai.OpenAIError):
            await chunks(at.router, mode, heard)
        assert text(heard) == "one two three"


@in_both_modes
async def test_refused_prefill_is_not_shown(mode: str) -> None:
    """The caller hears of the break, not of what was tried after it."""
    with provided(CUT, HEALTHY_STREAM, takes_prefill=False, answers=(ANSWER, "one two 3 4 5")) as at:
        with pytest.raises(openai.OpenAIError) as raised:
            await chunks(at.router, mode)
        assert "prefill" not in str(raised.value)


@pytest.mark.parametrize("continues", [True, False], ids=["continued", "asked anew"])
async def test_chunks_are_the_callers(continues: bool) -> None:
    """What the caller, or a hook of the proxy's, writes into its chunks is neither sent to a provider nor missed."""
    with provided(CUT, HEALTHY_STREAM, continues=continues) as at:
        heard = []
        async for chunk in await at.router.acompletion(GROUP, MESSAGES, True):
            heard.append(chunk.choices[0].delta.content or "")
            chunk.choices[0].delta.content = "SECRET"
            chunk.id = "the caller's own"
        assert "".join(heard) == ANSWER
        assert not any("SECRET" in json.dumps(request.body) for request in at.providers[1].requests)


async def test_two_breaks_are_survived() -> None:
    """The second half may break as well: the third deployment has the rest."""
    steps = (CUT, Stream(cut_after=1), HEALTHY_STREAM)
    with provided(*steps, group=(GROUP, GROUP, GROUP)) as at:
        assert text(await chunks(at.router, "async")) == ANSWER


@pytest.mark.parametrize(
    "request_of",
    [{"n": 2}, {"response_format": {"type": "json_object"}}, {"stream_recovery": "off"}],
    ids=["siblings", "format", "off"],
)
async def test_unspliceable_breaks_are_told(request_of: dict[str, Any]) -> None:
    """What cannot be joined, or is not to be, ends in the failure, and nobody else is asked."""
    with provided(CUT, HEALTHY_STREAM) as at:
        with pytest.raises(openai.OpenAIError):
            await chunks(at.router, "async", **request_of)
        assert at.prefilled == [[False], []]


async def test_off_for_the_router() -> None:
    """The router's setting holds for each request that has none."""
    with provided(CUT, HEALTHY_STREAM, stream_recovery="off") as at:
        with pytest.raises(openai.OpenAIError):
            await chunks(at.router, "async")
        assert text(await chunks(at.router, "async", stream_recovery="continue")) == ANSWER


@in_both_modes
async def test_held_words_are_asked_anew(mode: str) -> None:
    """What is kept back is nobody's yet: the request is asked again, for whichever answer."""
    asked: dict[str, Any] = {"stream_recovery": "hold", "response_format": {"type": "json_object"}}
    with provided(CUT, HEALTHY_STREAM, answers=(ANSWER, "another answer")) as at:
        assert text(await chunks(at.router, mode, **asked)) == "another answer"
        assert at.prefilled == [[False], [False]]


async def test_held_for_a_while() -> None:
    """Once `hold_ms` are over the words are passed on, and continued."""
    with provided(WAYS["stalled"], HEALTHY_STREAM, answers=(ANSWER, ANSWER)) as at:
        assert text(await chunks(at.router, "async", stream_recovery="hold", hold_ms=0)) == ANSWER
        assert at.prefilled == [[False], [True]]


async def test_held_words_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """What would take too much memory is let go, and continued: two chunks are held, and a third one is too much."""
    monkeypatch.setattr(recovering_stream, "MOST_HELD", 10_000)
    with provided(CUT, HEALTHY_STREAM) as at:
        assert text(await chunks(at.router, "async", stream_recovery="hold")) == ANSWER
        assert at.prefilled == [[False], [True]]


async def test_deployment_has_its_own() -> None:
    """A deployment's setting wins over the router's, a request's over both."""
    with provided(CUT, HEALTHY_STREAM, own="off", stream_recovery="hold") as at:
        with pytest.raises(openai.OpenAIError):
            await chunks(at.router, "async")
        assert text(await chunks(at.router, "async", stream_recovery="continue")) == ANSWER


async def test_settings_reach_no_provider() -> None:
    """Neither a deployment's own settings nor a request's are sent along."""
    with provided(HEALTHY_STREAM, HEALTHY_STREAM, own="hold") as at:
        await chunks(at.router, "async", hold_ms=1)
        await chunks(at.router, "async", stream_recovery="off")
        sent = [request.body for one in at.providers for request in one.requests]
        assert len(sent) == 2
        assert not {"stream_recovery", "hold_ms"} & {name for body in sent for name in body}


async def test_usage_of_both_halves() -> None:
    """The caller is told what both halves have cost, once."""
    with provided(CUT, HEALTHY_STREAM) as at:
        heard = await chunks(at.router, "async", stream_options={"include_usage": True})
        [usage] = [one.usage for one in heard if getattr(one, "usage", None)]
        second = at.providers[1].usage(4)  # the empty piece before a space counts there
        assert usage.completion_tokens == second["completion_tokens"] + 3
        assert usage.prompt_tokens > second["prompt_tokens"]
        assert usage.total_tokens == usage.prompt_tokens + usage.completion_tokens


async def test_cost_of_one_half_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A cost in the usage is that of the second half alone, and left out."""
    monkeypatch.setattr(litellm, "include_cost_in_streaming_usage", True)
    for first, is_told in ((CUT, False), (HEALTHY_STREAM, True)):
        with provided(first, HEALTHY_STREAM) as at:
            heard = await chunks(at.router, "async", stream_options={"include_usage": True})
            [usage] = [one.usage for one in heard if getattr(one, "usage", None)]
            assert (getattr(usage, "cost", None) is not None) is is_told


async def test_rescued_failure_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """The metadata of the answer's log says which failure the caller never saw; the caller's own is left alone."""
    heard: list[Any] = []

    class Noted(CustomLogger):
        async def async_log_success_event(self, kwargs: Any, *_: Any, **__: Any) -> None:
            heard.append(kwargs["litellm_params"]["metadata"].get(RESCUED))

    monkeypatch.setattr(litellm, "callbacks", [Noted()])
    metadata = {"job": "nightly"}
    with provided(CUT, HEALTHY_STREAM) as at:
        await chunks(at.router, "async", metadata=metadata)
        assert await until(lambda: heard == [["0: interrupted"]])
    assert RESCUED not in metadata


CONSTRAINED = {"response_format": {"type": "json_object"}}


@pytest.mark.parametrize("where", ["own", "of a sibling", "default_litellm_params", "extra_body"])
async def test_constraint_from_elsewhere(where: str) -> None:
    """A form that the answer is to have is respected wherever it has been set."""
    settings: Any = {"default_litellm_params": CONSTRAINED} if where == "default_litellm_params" else {}
    with provided(CUT, HEALTHY_STREAM, **settings) as at:
        if where in ("own", "of a sibling"):
            name = "0" if where == "own" else "1"
            known = at.router.get_deployment(name)
            assert known is not None
            changed = known.model_dump(exclude_none=True)
            at.router.upsert_deployment(
                type(known)(**{**changed, "litellm_params": {**changed["litellm_params"], **CONSTRAINED}})
            )
        request: Any = {"extra_body": CONSTRAINED} if where == "extra_body" else {}
        with pytest.raises((openai.APIError, litellm.APIError)):
            await chunks(at.router, "async", **request)
        assert at.prefilled == [[False], []]


async def test_messages_in_a_tuple() -> None:
    """Messages that are no list are continued too."""
    with provided(CUT, HEALTHY_STREAM) as at:
        assert text(await chunks(at.router, "async", messages=tuple(MESSAGES))) == ANSWER
        assert at.prefilled == [[False], [True]]


@pytest.mark.parametrize(("retries", "rescued"), [(0, False), (1, True)])
async def test_retry_policy_decides(retries: int, rescued: bool) -> None:
    """A retry policy that names the failure says whether the group is asked again, whatever `num_retries` says."""
    settings: Any = {"retry_policy": RetryPolicy(TimeoutErrorRetries=retries), "num_retries": 1 - retries}
    with provided(WAYS["stalled"], HEALTHY_STREAM, **settings) as at:
        if rescued:
            assert text(await chunks(at.router, "async")) == ANSWER
        else:
            with pytest.raises((openai.APIError, litellm.APIError)):
                await chunks(at.router, "async")
        assert len(at.providers[1].arrivals) == rescued


async def test_first_half_is_logged_as_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callbacks hear of one failure, of the deployment that broke off, and of one success, of the other."""
    heard: list[tuple[str, str]] = []

    class Noted(CustomLogger):
        async def async_log_success_event(self, kwargs: Any, *_: Any, **__: Any) -> None:
            heard.append(("success", kwargs["standard_logging_object"]["model_id"]))

        async def async_log_failure_event(self, kwargs: Any, *_: Any, **__: Any) -> None:
            heard.append(("failure", kwargs["standard_logging_object"]["model_id"]))

    monkeypatch.setattr(litellm, "callbacks", [Noted()])
    with provided(CUT, HEALTHY_STREAM) as at:
        await chunks(at.router, "async", metadata={})
        assert await until(lambda: len(heard) >= 2)
    assert sorted(heard) == [("failure", "0"), ("success", "1")]


async def test_leaving_blames_nobody() -> None:
    """A caller who leaves in the middle asks nobody else."""
    with provided(Stream(stall_after=3, stall=30), HEALTHY_STREAM) as at:
        stream = await at.router.acompletion(model=GROUP, messages=MESSAGES, stream=True)
        reading = asyncio.ensure_future(stream.__anext__())
        await reading
        await stream.aclose()
        assert at.prefilled == [[False], []]
