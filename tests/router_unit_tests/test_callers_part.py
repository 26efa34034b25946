"""What one caller brings along takes a deployment from nobody else: neither at once nor by being counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any
from unittest import mock

import httpx
import litellm
import pytest
from fastapi import HTTPException
from hypothesis import given
from hypothesis import strategies as st
from litellm.integrations.custom_logger import CustomLogger

from support.faulty_provider import FAULTS, HEALTHY, REFUSED, SILENT, Fault, FaultyProvider
from support.routing import (
    GROUP,
    MODES,
    RELEASE,
    cooldown_seconds,
    cooling_down,
    deployment,
    failures,
    lost,
    outcomes,
    routed,
    together,
    until,
)

SETTINGS: dict[str, Any] = {"num_retries": 0}
NO_FILE = Fault.status(404, body=b'{"error": {"message": "No such file object.", "type": "invalid_request_error"}}')
NOT_ALLOWED = Fault.status(403, body=b'{"error": {"message": "No permission to access the file."}}')
NO_ROUTE = Fault.status(404, body=b'{"detail": "Not Found"}')
NO_MODEL = FAULTS["404"]  # with the code model_not_found
LIMITS: tuple[dict[str, Any], ...] = ({"timeout": 0.1}, {"request_timeout": 0.1}, {"stream_timeout": 0.1})
LIMITS_IN_OTHER_FORMS = ({"timeout": "0.1"}, {"timeout": httpx.Timeout(0.1)}, {"timeout": httpx.Timeout(5, read=0.1)})


def pair(bad: FaultyProvider, good: FaultyProvider, **params: Any) -> list[dict[str, Any]]:
    """Two deployments of one group, of which the bad one is chosen as long as it is not cooling down."""
    return [
        deployment("a-bad", "openai", bad.url, weight=1, **params),
        deployment("b-good", "openai", good.url, weight=0, **params),
    ]


def equals(one: FaultyProvider, other: FaultyProvider) -> list[dict[str, Any]]:
    """Two deployments of one group, of which either may be chosen."""
    return [deployment("a-bad", "openai", one.url), deployment("b-good", "openai", other.url)]


def counted(router: Any) -> int:
    return failures(router, "a-bad")


# --- a time limit of the caller's own


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: str(*limit))
async def test_own_time_limit_counts_for_nobody_else(limit: dict[str, float], mode: str) -> None:
    """However often a caller's own limit runs out, the deployment is not counted out for the others."""
    if "stream_timeout" in limit and not mode.endswith("stream"):
        pytest.skip("a stream's limit says nothing about other answers")
    with FaultyProvider(SILENT) as bad, FaultyProvider() as good:
        with routed(pair(bad, good), **SETTINGS) as router:
            assert lost(await outcomes(router, 6, mode, **limit)) == list(range(6))
            assert not await until_counted(router)
            assert cooling_down(router) == set()


async def until_cooled(router: Any, more_than: int = 0) -> bool:
    """Whether more deployments than that cool down within the time in which any other does."""
    with mock.patch("support.routing.PATIENCE", 0.5):
        return await until(lambda: len(cooling_down(router)) > more_than)


async def until_counted(router: Any) -> bool:
    """Whether a failure is counted within the time in which any other is."""
    with mock.patch("support.routing.PATIENCE", 0.5):
        return await until(lambda: counted(router) > 0)


@pytest.mark.parametrize("mode", MODES)
async def test_own_limit_is_told_as_the_callers(mode: str) -> None:
    """The caller is told of its own limit as LiteLLM tells of it, with 408."""
    with FaultyProvider(SILENT) as bad:
        with routed([deployment("a-bad", "openai", bad.url)], **SETTINGS) as router:
            (error,) = await outcomes(router, 1, mode, timeout=0.1)
            assert isinstance(error, litellm.Timeout)
            assert [one.status_code for one in getattr(error, "failed_attempts", ())] == [408]


@pytest.mark.parametrize("limit", [{}, {"timeout": 0.6}], ids=["own", "longer"])
async def test_deployments_time_limit_counts(limit: dict[str, float]) -> None:
    """A silent host is cooled down by the deployment's limit, and by a caller's that is longer."""
    with FaultyProvider() as bad, FaultyProvider() as good:
        with routed(pair(bad, good, timeout=0.4), **SETTINGS) as router:
            assert await outcomes(router, 1) == [bad.answer]
            bad.fault = SILENT
            assert await together(router, 4, **limit) == 4
            assert await until(lambda: cooling_down(router) == {"a-bad"})


async def test_providers_own_timeout_counts_despite_a_limit() -> None:
    """A 504 is the provider's word, whatever limit the caller has set."""
    with FaultyProvider(Fault.status(504)) as bad, FaultyProvider() as good:
        with routed(pair(bad, good), **SETTINGS) as router:
            assert len(lost(await outcomes(router, 5, timeout=30))) == 5
            assert await until(lambda: cooling_down(router) == {"a-bad"})


@pytest.mark.parametrize("setting", [{"allowed_fails": 0}])
async def test_own_time_limit_is_no_allowed_fail(setting: dict[str, Any]) -> None:
    """Nor does it use up what the user allows a deployment to fail."""
    with FaultyProvider(SILENT) as bad, FaultyProvider() as good:
        with routed(pair(bad, good), **SETTINGS, **setting) as router:
            assert len(lost(await outcomes(router, 3, timeout=0.1))) == 3
            assert not await until_counted(router)
            assert cooling_down(router) == set()


# --- what a caller sends that is wrong


@pytest.mark.parametrize("mode", MODES)
async def test_rejected_requests_are_not_counted(mode: str) -> None:
    """Requests that the provider rejects are nothing that a later failure adds to."""
    with FaultyProvider(Fault.status(400)) as bad, FaultyProvider() as good:
        with routed(pair(bad, good), **SETTINGS) as router:
            assert len(lost(await outcomes(router, 6, mode))) == 6
            bad.fault = Fault.status(500)
            assert len(lost(await outcomes(router, 1, mode))) == 1
            assert await until(lambda: counted(router) == 1)
            assert cooling_down(router) == set()


NAMED: dict[str, dict[str, Any]] = {
    "a file": {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "file-1"}}]}]},
    "a vector store": {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
    "a container": {"extra_body": {"container": "container_1"}},
    "a cached prompt": {"extra_body": {"cached_content": "cachedContents/1"}},
    "a conversation": {"extra_body": {"conversation": {"id": "conv_1"}}},
}


@pytest.mark.parametrize("limit", LIMITS_IN_OTHER_FORMS, ids=["text", "all", "read"])
async def test_own_time_limit_has_many_forms(limit: dict[str, Any]) -> None:
    """A caller's own limit counts for nobody else in whichever form it comes."""
    with FaultyProvider(SILENT) as bad, FaultyProvider() as good:
        with routed(pair(bad, good), **SETTINGS) as router:
            assert lost(await outcomes(router, 3, "async", **limit)) == [0, 1, 2]
            assert not await until_counted(router)
            assert cooling_down(router) == set()


@pytest.mark.parametrize("mode", ["async", "sync"])
@pytest.mark.parametrize("named", NAMED.values(), ids=NAMED)
async def test_forbidden_thing_the_caller_named_cools_nothing(named: dict[str, Any], mode: str) -> None:
    """A 403 about something that the caller has named leaves both deployments to the others."""
    with FaultyProvider(NOT_ALLOWED) as one, FaultyProvider(NOT_ALLOWED) as other:
        with routed(pair(one, other), num_retries=2) as router:
            assert len(lost(await outcomes(router, 2, mode, **named))) == 2
            assert one.attempts + other.attempts == 2
            assert not await until_counted(router)
            assert cooling_down(router) == set()


async def test_route_that_nobody_has_takes_one_deployment() -> None:
    """A bare 404 of each deployment is about the route: it cools down no more than one, as LiteLLM does."""
    with FaultyProvider(NO_ROUTE) as one, FaultyProvider(NO_ROUTE) as other:
        with routed(equals(one, other), num_retries=2) as router:
            assert lost(await outcomes(router, 1)) == [0]
            assert not await until_cooled(router, more_than=1)
            one.fault = other.fault = HEALTHY
            assert await outcomes(router, 4) == ["pong"] * 4


AGENTS: dict[str, list[dict[str, Any]]] = {
    "a tool's own argument": [
        {"role": "user", "content": "ping"},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "toolu_1", "name": "open", "input": {"file_id": "7"}}],
        },
    ],
    "a whole reasoning": [{"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "gAAA"}],
}


@pytest.mark.parametrize("parts", AGENTS.values(), ids=AGENTS)
def test_what_comes_along_is_no_reference(parts: list[dict[str, Any]]) -> None:
    """The input of a caller's own tool, and reasoning that is sent whole, are at no provider."""
    from litellm.router_utils.failover.caller_fault import names_an_id

    assert not names_an_id({"messages": parts, "input": parts})


@pytest.mark.parametrize("mode", ["async", "sync"])
async def test_missing_model_outweighs_a_named_thing(mode: str) -> None:
    """A deployment that says by code that it has no such model is left, whatever else the request names."""
    with FaultyProvider(NO_MODEL) as bad, FaultyProvider() as good:
        with routed(equals(bad, good), num_retries=1) as router:
            while not bad.attempts:
                assert await outcomes(router, 1, mode, **NAMED["a vector store"]) == ["pong"]
            assert await until(lambda: cooling_down(router) == {"a-bad"})


# --- what somebody else than the provider raises


class Guard(CustomLogger):
    """A hook of the operator's that raises, for one request out of two, what it is given."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def async_pre_call_deployment_hook(self, kwargs: dict[str, Any], call_type: Any) -> dict[str, Any]:
        if "blocked" in str(kwargs.get("messages")):
            raise self.error
        return kwargs


@pytest.mark.parametrize(
    "error",
    [HTTPException(403, "blocked"), HTTPException(429, "slow down"), httpx.ConnectError("the guard is down")],
    ids=["forbids", "limits", "is down"],
)
async def test_guard_cools_nothing_down(error: Exception) -> None:
    """What a hook of the operator's raises for one caller takes the deployments from nobody."""
    with FaultyProvider() as one, FaultyProvider() as other:
        with routed(equals(one, other), num_retries=2) as router:
            litellm.callbacks.append(Guard(error))
            with pytest.raises(Exception, match="blocked|slow down|guard"):
                await router.acompletion(GROUP, messages=[{"role": "user", "content": "blocked"}])
            assert not await until_cooled(router)
            assert await outcomes(router, 3) == ["pong"] * 3


BEDROCK = {
    "model": "bedrock/anthropic.claude-3-haiku-20240307-v1:0",
    "aws_access_key_id": "an-id",
    "aws_secret_access_key": "a-secret",
    "aws_region_name": "us-east-1",
}
"""A provider that is sent what the caller has linked to."""


@pytest.mark.parametrize("mode", ["async", "sync"])
@pytest.mark.parametrize("fault", [REFUSED, Fault.status(403), Fault.status(429)], ids=["refuses", "403", "429"])
async def test_link_of_the_caller_cools_nothing_down(fault: Fault, mode: str) -> None:
    """An image that the caller has linked to and that is not to be had takes the deployments from nobody."""
    with FaultyProvider(fault) as images, FaultyProvider() as one, FaultyProvider() as other:
        group = [
            deployment(name, "openai", server.url, **BEDROCK) for name, server in (("a-bad", one), ("b-good", other))
        ]
        image = {"type": "image_url", "image_url": {"url": f"{images.url}/image.png"}}
        with routed(group, num_retries=2) as router:
            asked = [{"role": "user", "content": [{"type": "text", "text": "ping"}, image]}]
            assert lost(await outcomes(router, 1, mode, messages=asked)) == [0]
            assert not await until_cooled(router)


@pytest.mark.parametrize("mode", ["async", "sync"])
@pytest.mark.parametrize("named", NAMED.values(), ids=NAMED)
async def test_missing_thing_the_caller_named_cools_nothing(named: dict[str, Any], mode: str) -> None:
    """Two requests for something that is not there leave both deployments to the others."""
    with FaultyProvider(NO_FILE) as one, FaultyProvider(NO_FILE) as other:
        with routed(pair(one, other), num_retries=2) as router:
            assert len(lost(await outcomes(router, 4, mode, **named))) == 4
            assert one.attempts + other.attempts == 4
            assert not await until_counted(router)
            assert cooling_down(router) == set()


async def test_missing_model_still_cools_down() -> None:
    """A 404 of a request that names nothing is about the model, which the deployment does not have."""
    with FaultyProvider(NO_FILE) as bad, FaultyProvider() as good:
        with routed(pair(bad, good), **SETTINGS) as router:
            assert lost(await outcomes(router, 1)) == [0]
            assert await until(lambda: cooling_down(router) == {"a-bad"})


OPERATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "a file's content": ("afile_content", {"file_id": "file-1"}),
    "a batch": ("aretrieve_batch", {"batch_id": "batch_1"}),
    "a response to go on from": ("aresponses", {"input": "ping", "previous_response_id": "resp_1"}),
    "an item of a response": ("aresponses", {"input": [{"type": "item_reference", "id": "msg_1"}]}),
    "a prompt": ("aresponses", {"input": "ping", "prompt": {"id": "pmpt_1"}}),
    "a vector store": ("avector_store_search", {"vector_store_id": "vs_1", "query": "ping"}),
}

if RELEASE >= (1, 103):  # 1.82.6 asks for a response elsewhere than at the deployment's address
    OPERATIONS["a response"] = ("aget_responses", {"response_id": "resp_1"})
    OPERATIONS["a response to delete"] = ("adelete_responses", {"response_id": "resp_1"})


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS)
async def test_operation_on_a_missing_thing_cools_nothing(operation: tuple[str, dict[str, Any]]) -> None:
    """Two bad ids take a pair of deployments from nobody, whatever they are ids of."""
    name, params = operation
    with FaultyProvider(NO_FILE) as one, FaultyProvider(NO_FILE) as other:
        with routed(pair(one, other), num_retries=0) as router:
            for _ in range(4):
                with pytest.raises(Exception, match="404|not found|gone|Error"):
                    await getattr(router, name)(model="the-group", custom_llm_provider="openai", **params)
            assert len(one.requests) + len(other.requests) >= 4
            assert not await until_counted(router)
            assert cooling_down(router) == set()


# --- what a caller sets


@pytest.mark.parametrize("mode", ["async", "sync"])
async def test_cooldown_time_is_not_the_callers(mode: str) -> None:
    """How long others are to do without a deployment is for the router's settings to say."""
    with FaultyProvider(FAULTS["429"]) as bad, FaultyProvider() as good:
        with routed(pair(bad, good), cooldown_time=33, **SETTINGS) as router:
            assert lost(await outcomes(router, 1, mode, cooldown_time=9999)) == [0]
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert cooldown_seconds(router, "a-bad") == 33


async def test_deployments_cooldown_time_is_kept() -> None:
    """What the deployment's own settings say holds, whatever the caller says."""
    with FaultyProvider(FAULTS["429"]) as bad, FaultyProvider() as good:
        with routed(pair(bad, good, cooldown_time=44), cooldown_time=33, **SETTINGS) as router:
            assert lost(await outcomes(router, 1, cooldown_time=9999)) == [0]
            assert await until(lambda: cooling_down(router) == {"a-bad"})
            assert cooldown_seconds(router, "a-bad") == 44


@pytest.mark.parametrize(
    "own", [{"api_key": "sk-own"}, {"extra_headers": {"Authorization": "Bearer own"}}], ids=["key", "header"]
)
@pytest.mark.parametrize("mode", ["async", "sync"])
async def test_own_credentials_count_for_nobody_else(own: dict[str, Any], mode: str) -> None:
    """A key of the caller's own that the provider does not accept says nothing of the deployment's."""
    with FaultyProvider(FAULTS["401"]) as bad, FaultyProvider() as good:
        with routed(pair(bad, good), **SETTINGS) as router:
            assert len(lost(await outcomes(router, 2, mode, **own))) == 2
            assert not await until_counted(router)
            assert cooling_down(router) == set()
            assert lost(await outcomes(router, 1, mode)) == [0]
            assert await until(lambda: cooling_down(router) == {"a-bad"})


# --- the decision by itself


def test_stubs_are_judged_without_raising() -> None:
    """Exceptions, requests and routers of tests, which have what these have not, raise nothing here."""
    from litellm.router_utils.failover.caller_fault import caller_input, ignore_caller_faults, judge

    stub = SimpleNamespace()
    part = caller_input(stub, {"messages": mock.MagicMock()}, {}, None, is_about_an_id=False)
    assert judge(mock.MagicMock(), part, "a") in (True, False)
    callback = ignore_caller_faults(lambda *_: "called")
    assert callback(stub, {"exception": None}, None, None, None) == "called"
    assert callback(mock.MagicMock(), {"exception": Exception("no")}, None, None, None) == "called"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(value=JSON, place=st.sampled_from(["input", "messages", "tools", "extra_body"]))
def test_ids_are_found_wherever_they_are(value: Any, place: str) -> None:
    """An id is found beside and within anything else, and nothing is found where there is none."""
    from litellm.router_utils.failover.caller_fault import names_an_id

    assert not names_an_id({place: value, "model": "m"})
    assert names_an_id({place: [value, {"content": [value, {"file_id": "file-1"}]}]})


@pytest.mark.parametrize(
    "request_",
    [{"prompt": "file_id"}, {"messages": [{"role": "tool", "tool_call_id": "call_1", "content": "file_id"}]}],
)
def test_words_are_no_ids(request_: dict[str, Any]) -> None:
    """Text that speaks of a file, a prompt that is text and the ids of tool calls name nothing a provider holds."""
    from litellm.router_utils.failover.caller_fault import names_an_id

    assert not names_an_id(request_)


@given(
    status=st.sampled_from([400, 404, 408, 422, 429, 500, 503, 504]),
    an_id=st.booleans(),
    limited=st.booleans(),
    keyed=st.booleans(),
)
def test_answers_with_a_status_count_by_the_table(status: int, an_id: bool, limited: bool, keyed: bool) -> None:
    """What a provider has answered is the deployment's, but for rejected requests and a 404 about a named id."""
    from litellm.litellm_core_utils.failure import failure_of
    from litellm.router_utils.failover.policy import CallerInput, counts_for_all_callers

    response = httpx.Response(status, request=httpx.Request("POST", "http://127.0.0.1"))
    failure = failure_of(httpx.HTTPStatusError("no", request=response.request, response=response))
    expected = status not in (400, 422) and not (status == 404 and an_id)
    for timed_out in (False, True):
        own = CallerInput(an_id, limited, keyed)
        assert counts_for_all_callers(failure, own, timed_out=timed_out) is expected


def test_missing_id_is_a_rejected_request() -> None:
    """Whoever reads the failure's kind afterwards reads the same answer."""
    from litellm.litellm_core_utils.failure import failure_of
    from litellm.litellm_core_utils.failure_evidence import FailureKind
    from litellm.router_utils.failover.caller_fault import judge
    from litellm.router_utils.failover.policy import CallerInput

    response = httpx.Response(404, request=httpx.Request("POST", "http://127.0.0.1"))
    failure = litellm.NotFoundError("no", "m", "openai", response=response)
    assert judge(failure, CallerInput(names_an_id=True), "a") is False
    assert failure_of(failure)[:2] == (FailureKind.REQUEST_REJECTED, 404)
