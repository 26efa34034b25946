"""
What of a failure is the caller's own doing: an id the caller named, a time limit or credentials of the caller's own.
It is told once, where the request is known, and kept on the exception for whoever decides on a cooldown.
"""

import functools
import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import Final, TypeVar

import httpx
from litellm.litellm_core_utils.exception_chain import iter_exception_chain, safe_getattr
from litellm.litellm_core_utils.failure import (
    NO_PROVIDER_FAILURE,
    Failure,
    FailureKind,
    failure_of,
    is_about_the_model,
    is_raised_by_somebody_else,
    keep_failure,
)
from litellm.router_utils.failover.deadline import is_cut_short
from litellm.router_utils.failover.policy import MAY_BE_ABOUT_AN_ID, CallerInput, counts_for_all_callers, kind_for
from litellm.router_utils.failover.retry_state import current_turn
from litellm.router_utils.failover.router_view import (
    Deployment,
    Request,
    Router,
    has_own_policy_for,
    id_of,
    is_pattern,
    router_setting,
)

Result = TypeVar("Result")

CALLER_FAULT: Final = "failure_of_the_caller"
RECORDED: Final = "failure_recorded"  # on one that was counted though LiteLLM's callbacks were not told of it

# Where a request may name something that one provider holds, and the names it goes by there.
_PARTS: Final = ("input", "messages", "tools", "extra_body", "attachments", "tool_resources", "optional_params")
_IDS: Final = frozenset(
    {
        *("file_id", "file_ids", "vector_store_id", "vector_store_ids", "container", "container_id"),
        *("previous_response_id", "response_id", "conversation", "conversation_id", "assistant_id", "thread_id"),
        *(
            "batch_id",
            "cached_content",
            "cachedContent",
            "video_id",
            "training_file",
            "validation_file",
            "input_file_id",
        ),
    }
)
_OBJECTS_WITH_AN_ID: Final = ("conversation", "prompt", "container", "assistant", "session")
_REFERENCES: Final = ("item_reference", "reasoning")  # items of a Responses input, held under their id
_TOOL_CALL: Final = "tool_use"  # whose input is named by a tool of the caller's own
_DEEPEST: Final = 12

# LiteLLM's types of calls that name nothing a provider holds, but for what is in the request.
_CALLS_WITHOUT_AN_ID: Final = frozenset(
    {
        *("completion", "acompletion", "text_completion", "atext_completion", "adapter_completion"),
        *("embedding", "aembedding", "responses", "aresponses", "anthropic_messages", "rerank", "arerank"),
        *("moderation", "amoderation", "speech", "aspeech", "transcription", "atranscription", "ocr", "aocr"),
        *("image_generation", "aimage_generation", "image_edit", "aimage_edit", "aadapter_completion"),
        *("generate_content", "agenerate_content", "generate_content_stream", "agenerate_content_stream"),
    }
)
_LIMITS: Final = ("timeout", "request_timeout")
_CREDENTIALS: Final = (
    *("api_key", "api_base", "base_url", "azure_ad_token", "client_secret", "vertex_credentials", "user_config"),
    *("aws_access_key_id", "aws_secret_access_key", "aws_session_token", "aws_bedrock_runtime_endpoint"),
)
_HEADERS: Final = ("extra_headers", "headers")
_HEADERS_WITH_CREDENTIALS: Final = ("authorization", "api-key", "x-api-key", "x-goog-api-key")


def names_an_id(request: Request) -> bool:
    """Whether a request names something that one provider holds, such as a file, a response or a container."""
    return any(_is_an_id(name, request.get(name)) for name in _IDS.union(_OBJECTS_WITH_AN_ID)) or any(
        _holds_an_id(request.get(part)) for part in _PARTS
    )


def names_by_its_kind(call_type: object) -> bool:
    """Whether a call of this type, by LiteLLM's name for it, is about something one provider holds."""
    return isinstance(call_type, str) and call_type.removeprefix("_") not in _CALLS_WITHOUT_AN_ID


def _holds_an_id(value: object, depth: int = 0) -> bool:
    if depth > _DEEPEST:
        return False
    if isinstance(value, Mapping):
        kind: Final = value.get("type")
        if kind == _TOOL_CALL:
            return False
        if kind in _REFERENCES and value.get("id"):
            return not value.get("encrypted_content")  # which has all there is to it in itself
        return any(_is_an_id(name, part) or _holds_an_id(part, depth + 1) for name, part in value.items())
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return any(_holds_an_id(part, depth + 1) for part in value)
    return False


def _is_an_id(name: object, value: object) -> bool:
    if isinstance(value, Mapping):
        return name in _OBJECTS_WITH_AN_ID and bool(value.get("id"))
    return name in _IDS and bool(value) and isinstance(value, (str, list, tuple))


def caller_input(
    router: Router, request: Request, deployment: Deployment, limit: object, *, is_about_an_id: bool
) -> CallerInput:
    """What a request has of its own.

    `request` is the request as the caller sent it, `deployment` the one that failed it, `limit` the seconds it was
    given. `is_about_an_id` is a request whose very kind is to name something, as to retrieve a file.
    """
    return CallerInput(
        names_an_id=is_about_an_id or names_an_id(request),
        limits_the_time=is_shorter(limit, _limit_for_all(router, deployment, bool(request.get("stream")))),
        brings_credentials=_brings_credentials(request),
        names_the_model=is_pattern(deployment),
    )


def is_shorter(limit: object, than: object) -> bool:
    """Whether one limit is shorter than another, in any form LiteLLM takes; None is no limit."""
    seconds, longest = seconds_of(limit), seconds_of(than)
    return seconds is not None and (longest is None or seconds < longest)


def seconds_of(limit: object) -> float | None:
    """The seconds of a limit: a number, the text of one, or the shortest of httpx's four. None if it is none."""
    if isinstance(limit, httpx.Timeout):
        limit = min((part for part in limit.as_dict().values() if part is not None), default=None)
    if isinstance(limit, bool):
        return None
    try:
        return float(limit)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError, OverflowError):
        return None


def _limit_for_all(router: Router, deployment: Deployment, streamed: bool) -> object:
    """The seconds a deployment has for a request whose caller sets no limit, in the order of LiteLLM's own look-up."""
    params: Final = deployment.get("litellm_params") or {}
    defaults: Final = router_setting(router, "default_litellm_params") or {}
    of_all: Final = router_setting(router, "request_timeout")
    of_streams: Final = (
        params.get("stream_timeout")
        or router_setting(router, "stream_timeout")
        or of_all
        or defaults.get("stream_timeout")
    )
    if streamed and of_streams is not None:
        return of_streams
    own: Final = next((params[name] for name in _LIMITS if params.get(name)), None)
    return own or of_all or router_setting(router, "timeout") or defaults.get("timeout")


def limit_of(request: Request) -> object:
    """The seconds that a caller gives an attempt, None if the caller says nothing."""
    names: Final = ("stream_timeout", *_LIMITS) if request.get("stream") else _LIMITS
    return next((request[name] for name in names if request.get(name)), None)


def _brings_credentials(request: Request) -> bool:
    sent: Final = [request.get(name) for name in _HEADERS]
    names: Final = {str(name).lower() for headers in sent if isinstance(headers, Mapping) for name in headers}
    return any(map(request.get, _CREDENTIALS)) or not names.isdisjoint(_HEADERS_WITH_CREDENTIALS)


def judge(error: BaseException, own: CallerInput, deployment_id: object) -> bool:
    """Whether the failure of a deployment counts for other callers. What is told of it is kept on the exception, and a
    403 or 404 about an id that the caller named is from then on a rejected request."""
    known: Final = failure_of(error)
    failure: Final = NO_PROVIDER_FAILURE if is_raised_by_somebody_else(error) else known
    about_the_model: Final = failure.http_status in MAY_BE_ABOUT_AN_ID and is_about_the_model(error)
    named: Final = own._replace(names_an_id=own.names_an_id and not about_the_model)
    judged: Final = failure._replace(kind=kind_for(failure, named))
    repeats: Final = judged.kind is FailureKind.MODEL_MISSING and not about_the_model and _others_said_so(deployment_id)
    ran_out: Final = has_timed_out(error, failure)
    cut_short: Final = ran_out and is_cut_short()
    counts: Final = not repeats and not cut_short and counts_for_all_callers(failure, named, timed_out=ran_out)
    try:
        if judged != known:
            keep_failure(error, judged)
        if not counts:
            setattr(error, CALLER_FAULT, True)
    except (AttributeError, TypeError):  # an exception that takes no attributes is judged anew each time
        pass
    return counts


def _others_said_so(deployment_id: object) -> bool:
    """Whether another deployment has answered the request under way with a bare 404 as well, before this one did: it is
    about something that none of them has, such as the route."""
    turn: Final = current_turn()
    attempts: Final = turn.state.attempts if turn is not None else []
    earlier: Final = itertools.takewhile(lambda one: one.deployment_id != deployment_id, attempts)
    return any(one.kind is FailureKind.MODEL_MISSING for one in earlier)


def is_caller_fault(error: object) -> bool:
    """Whether `judge` has said of this failure that it counts for nobody else."""
    return safe_getattr(error, CALLER_FAULT) is True


def has_timed_out(error: object, failure: Failure) -> bool:
    """Whether a time limit has run out, also before there was a connection: that by itself proves that a host cannot be
    reached."""
    chain: Final = iter_exception_chain(error)
    return failure.kind is FailureKind.TIMED_OUT or any("Timeout" in type(link).__name__ for link in chain)


def ignore_caller_faults(on_failure: Callable[..., Result]) -> Callable[..., Result | bool]:
    """Wrap `Router.deployment_callback_on_failure`, which counts a failure and decides on a cooldown: not for what is
    the caller's own doing, and never for as long as the caller says."""

    @functools.wraps(on_failure)
    def deployment_callback_on_failure(self: Router, kwargs: object, *args: object, **more: object) -> Result | bool:
        if not isinstance(kwargs, Mapping) or not isinstance(kwargs.get("exception"), Exception):
            return on_failure(self, kwargs, *args, **more)
        if not _counts(self, kwargs, kwargs["exception"]):
            return False
        return on_failure(self, _without_caller_cooldown_time(self, kwargs), *args, **more)

    return deployment_callback_on_failure


def _counts(router: Router, details: Request, error: Exception) -> bool:
    deployment: Final = deployment_of(router, details)
    if is_caller_fault(error) or not judge(error, input_of_logged_call(router, details, deployment), id_of(deployment)):
        return has_own_policy_for(router, deployment, error)
    return True


def input_of_logged_call(router: Router, details: Request, deployment: Deployment) -> CallerInput:
    """`caller_input` of a call that LiteLLM logs, by what it logs and, while the request is under way, the request."""
    turn: Final = current_turn()
    params: Final = details.get("litellm_params") or {}
    request: Final = turn.request if turn is not None and turn.request else details
    limit: Final = limit_of(request) if request is not details else params.get("timeout")
    streamed: Final = {"stream": details.get("stream")} if request is details else {}
    is_about_an_id: Final = names_by_its_kind(details.get("call_type"))
    own: Final = caller_input(router, {**request, **streamed}, deployment, limit, is_about_an_id=is_about_an_id)
    return own if request is not details else own._replace(brings_credentials=False)  # they may be the deployment's


def deployment_of(router: Router, details: Request) -> Deployment:
    """The deployment that a logged call went to, as the router has it; empty if it has none."""
    info: Final = (details.get("litellm_params") or {}).get("model_info")
    name: Final = info.get("id") if isinstance(info, Mapping) else None
    try:
        found: Final = router.get_model_info(id=name) if name is not None else None
    except Exception:  # a router in the making, or a stand-in for one
        return {}
    return found if isinstance(found, Mapping) else {}


def _without_caller_cooldown_time(router: Router, details: Request) -> Request:
    """A logged call whose `cooldown_time`, if it has one, is what the router's settings say."""
    params: Final = details.get("litellm_params")
    if not isinstance(params, Mapping) or params.get("cooldown_time") is None:
        return details
    deployment: Final = deployment_of(router, details)
    defaults: Final = router_setting(router, "default_litellm_params") or {}
    own: Final = (deployment.get("litellm_params") or {}).get("cooldown_time", defaults.get("cooldown_time"))
    return {**details, "litellm_params": {**params, "cooldown_time": own}}


def skip_counted_and_caller_faults(trigger: Callable[..., Result]) -> Callable[..., Result | None]:
    """Wrap `_trigger_cooldown_for_failed_deployment`, by which LiteLLM, since 1.99, counts the failure that a fallback
    has ended with, where its callbacks were not told of it."""

    @functools.wraps(trigger)
    def trigger_for_all(
        litellm_router: Router, kwargs: Request, exception: Exception, *args: object, **more: object
    ) -> Result | None:
        if is_caller_fault(exception) or safe_getattr(exception, RECORDED) is True:
            return None
        return trigger(litellm_router, kwargs, exception, *args, **more)

    return trigger_for_all
