"""
What of a failure is the caller's own doing: an id the caller named, a time limit or credentials of the caller's own.
It is told once, where the request is known, and kept on the exception for whoever decides on a cooldown.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final, Protocol, TypeVar

from litellm.litellm_core_utils.failure_signal import (
    SIGNAL_ATTRIBUTE,
    STATUS_ATTRIBUTE,
    diagnose,
    peek,
)
from litellm.router_utils.failover_policy import (
    OF_THE_CALLER,
    RECORDED,
    CallersPart,
    holds_for_every_caller,
    is_of_the_caller,
    routing_context,
    signal_of,
)

Result = TypeVar("Result")
Params = Mapping[str, Any]

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


class _Turn(Protocol):
    request: Params


REQUEST: Final[ContextVar[_Turn | None]] = ContextVar("litellm_failover_request", default=None)
"""The turn of a model group at the request under way, which has the request as the caller sent it."""


def names_an_id(request: Params) -> bool:
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
        if value.get("type") in _REFERENCES and value.get("id"):
            return True
        return any(_is_an_id(name, part) or _holds_an_id(part, depth + 1) for name, part in value.items())
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return any(_holds_an_id(part, depth + 1) for part in value)
    return False


def _is_an_id(name: object, value: object) -> bool:
    if isinstance(value, Mapping):
        return name in _OBJECTS_WITH_AN_ID and bool(value.get("id"))
    return name in _IDS and bool(value) and isinstance(value, (str, list, tuple))


def callers_part(
    router: Any, request: Params, deployment: Params, limit: object, *, is_about_an_id: bool
) -> CallersPart:
    """What a request has of its own.

    `request` is the request as the caller sent it, `deployment` the one that failed it, `limit` the seconds it was
    given. `is_about_an_id` is a request whose very kind is to name something, as to retrieve a file.
    """
    return CallersPart(
        names_an_id=is_about_an_id or names_an_id(request),
        limits_the_time=is_shorter(limit, _limit_for_all(router, deployment, bool(request.get("stream")))),
        brings_credentials=_brings_credentials(request),
    )


def is_shorter(limit: object, than: object) -> bool:
    """Whether one limit in seconds is shorter than another; None is no limit."""
    if not isinstance(limit, (int, float)) or isinstance(limit, bool):
        return False
    return not isinstance(than, (int, float)) or limit < than


def _limit_for_all(router: Any, deployment: Params, streamed: bool) -> object:
    """The seconds a deployment has for a request whose caller sets no limit, in the order of LiteLLM's own look-up."""
    params: Final = deployment.get("litellm_params") or {}
    defaults: Final = getattr(router, "default_litellm_params", None) or {}
    of_all: Final = getattr(router, "request_timeout", None)
    of_streams: Final = (
        params.get("stream_timeout")
        or getattr(router, "stream_timeout", None)
        or of_all
        or defaults.get("stream_timeout")
    )
    if streamed and of_streams is not None:
        return of_streams
    own: Final = next((params[name] for name in _LIMITS if params.get(name)), None)
    return own or of_all or getattr(router, "timeout", None) or defaults.get("timeout")


def limit_of(request: Params) -> object:
    """The seconds that a caller gives an attempt, None if the caller says nothing."""
    names: Final = ("stream_timeout", *_LIMITS) if request.get("stream") else _LIMITS
    return next((request[name] for name in names if request.get(name)), None)


def _brings_credentials(request: Params) -> bool:
    sent: Final = [request.get(name) for name in _HEADERS]
    names: Final = {str(name).lower() for headers in sent if isinstance(headers, Mapping) for name in headers}
    return any(map(request.get, _CREDENTIALS)) or not names.isdisjoint(_HEADERS_WITH_CREDENTIALS)


def judge(failure: object, part: CallersPart) -> bool:
    """Whether a failure counts for other callers. What is told of it is kept on the exception, and a 404 about an id
    that the caller named is from then on a rejected request."""
    counts: Final = holds_for_every_caller(failure, part)
    diagnosis: Final = diagnose(failure)
    signal: Final = signal_of(diagnosis, part)
    try:
        if not counts:
            setattr(failure, OF_THE_CALLER, True)
        if signal is not diagnosis.signal:
            setattr(failure, STATUS_ATTRIBUTE, diagnosis.http_status)
            setattr(failure, SIGNAL_ATTRIBUTE, signal)
    except (AttributeError, TypeError):  # an exception that takes no attributes is judged anew each time
        pass
    return counts


def counting_what_holds_for_all(on_failure: Callable[..., Any]) -> Callable[..., Any]:
    """Wrap `Router.deployment_callback_on_failure`, which counts a failure and decides on a cooldown: not for what is
    the caller's own doing, and never for as long as the caller says."""

    @functools.wraps(on_failure)
    def deployment_callback_on_failure(self: Any, kwargs: Any, *args: Any, **more: Any) -> Any:
        if not isinstance(kwargs, Mapping) or not isinstance(kwargs.get("exception"), Exception):
            return on_failure(self, kwargs, *args, **more)
        if not _counts(self, kwargs, kwargs["exception"]):
            return False
        return on_failure(self, _without_the_callers_cooldown_time(self, kwargs), *args, **more)

    return deployment_callback_on_failure


def _counts(router: Any, details: Params, error: Exception) -> bool:
    deployment: Final = deployment_of(router, details)
    if is_of_the_caller(error) or not judge(error, part_of_a_logged_call(router, details, deployment)):
        return has_own_policy_for(router, deployment, error)
    return True


def has_own_policy_for(router: Any, deployment: Params, error: BaseException) -> bool:
    """Whether the deployment's `allowed_fails_policy` names the class of a failure, which then decides alone. Not
    before LiteLLM 1.99, which has no such setting of a deployment's."""
    from litellm.router_utils import cooldown_handlers

    has_policy: Final = getattr(cooldown_handlers, "_has_explicit_allowed_fails_policy_for_exception", None)
    name: Final = (deployment.get("model_info") or {}).get("id")
    if has_policy is None or name is None:
        return False
    return bool(has_policy(routing_context(router), name, error))


def part_of_a_logged_call(router: Any, details: Params, deployment: Params) -> CallersPart:
    """`callers_part` of a call that LiteLLM logs, by what it logs and, while the request is under way, the request."""
    turn: Final = REQUEST.get()
    params: Final = details.get("litellm_params") or {}
    request: Final = turn.request if turn is not None and turn.request else details
    limit: Final = limit_of(request) if request is not details else params.get("timeout")
    streamed: Final = {"stream": details.get("stream")} if request is details else {}
    is_about_an_id: Final = names_by_its_kind(details.get("call_type"))
    part: Final = callers_part(router, {**request, **streamed}, deployment, limit, is_about_an_id=is_about_an_id)
    return part if request is not details else part._replace(brings_credentials=False)  # they may be the deployment's


def deployment_of(router: Any, details: Params) -> Params:
    """The deployment that a logged call went to, as the router has it; empty if it has none."""
    info: Final = (details.get("litellm_params") or {}).get("model_info")
    name: Final = info.get("id") if isinstance(info, Mapping) else None
    try:
        found: Final = router.get_model_info(id=name) if name is not None else None
    except Exception:  # a router in the making, or a stand-in for one
        return {}
    return found if isinstance(found, Mapping) else {}


def _without_the_callers_cooldown_time(router: Any, details: Params) -> Params:
    """A logged call whose `cooldown_time`, if it has one, is what the router's settings say."""
    params: Final = details.get("litellm_params")
    if not isinstance(params, Mapping) or params.get("cooldown_time") is None:
        return details
    deployment: Final = deployment_of(router, details)
    defaults: Final = getattr(router, "default_litellm_params", None) or {}
    own: Final = (deployment.get("litellm_params") or {}).get("cooldown_time", defaults.get("cooldown_time"))
    return {**details, "litellm_params": {**params, "cooldown_time": own}}


def unless_counted_or_of_the_caller(trigger: Callable[..., Result]) -> Callable[..., Result | None]:
    """Wrap `_trigger_cooldown_for_failed_deployment`, by which LiteLLM, since 1.99, counts the failure that a fallback
    has ended with, where its callbacks were not told of it."""

    @functools.wraps(trigger)
    def trigger_for_all(litellm_router: Any, kwargs: Params, exception: Exception, *args: Any, **more: Any) -> Any:
        if is_of_the_caller(exception) or peek(exception, RECORDED) is True:
            return None
        return trigger(litellm_router, kwargs, exception, *args, **more)

    return trigger_for_all
