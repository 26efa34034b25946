"""Rules about what a model group is made of: who is left when one of its deployments is down."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from litellm_drill.config import ANY_GROUP, REFERENCE, Deployment, is_reference, is_true, number, text_of
from litellm_drill.document import Node, Place
from litellm_drill.finding import Fault, Subject

SELF_HOSTED = ("hosted_vllm", "llamafile", "lm_studio", "ollama", "ollama_chat", "vllm", "xinference")
"""Providers whose key is the operator's own: nobody else can refuse it."""

REGIONAL = {
    "bedrock": ("aws_region_name",),
    "bedrock_converse": ("aws_region_name",),
    "sagemaker": ("aws_region_name",),
    "sagemaker_chat": ("aws_region_name",),
    "vertex_ai": ("vertex_location",),
}
"""Providers of which each region is a place of its own, and where a deployment says which."""

ENDPOINTS = ("api_base", "base_url", "aws_bedrock_runtime_endpoint")
CREDENTIALS = ("api_key", "litellm_credential_name")
CONTINUATION = "enable_mid_stream_fallback_continuation"


def incomplete(subject: Subject) -> Iterator[Fault]:
    """A deployment that LiteLLM cannot use."""
    listed = subject.config.root.get("model_list")
    if listed is not None and not listed.is_list:
        yield Fault(listed.place, "`model_list` is no list.")
    for node in listed.items if listed else ():
        missing = [
            keys[-1] for keys in (("model_name",), ("litellm_params", "model")) if text_of(node.get(*keys)) is None
        ]
        if missing:
            yield Fault(node.place, f"A deployment has no {' and no '.join(f'`{name}`' for name in missing)}.")


def lone(subject: Subject) -> Iterator[Fault]:
    """A group of one deployment that nothing stands in for. What only stands in for others is the end of a chain."""
    config = subject.config
    targets = {config.resolve(one.target) for one in config.fallbacks}
    for group, deployments in config.groups.items():
        if len(deployments) > 1 or ANY_GROUP in group or group in targets or _has_fallback(subject, group):
            continue
        yield Fault(deployments[0].place, f'"{group}" has one deployment and no fallback.')


def shared_endpoint(subject: Subject) -> Iterator[Fault]:
    """All that can serve a group is one host, one account or one region."""
    config = subject.config
    for group, deployments in config.groups.items():
        fallbacks = config.fallbacks_for(group)
        targets = [config.groups.get(config.resolve(one.target), []) for one in fallbacks]
        everyone = [*deployments, *(one for target in targets for one in target)]
        if len(everyone) < 2 or not all(targets) or ANY_GROUP in group or config.falls_back_by_itself:
            continue
        shared = _shared(everyone)
        if shared:
            # Where any group falls back to it, the fallback is named for many groups: the group is at fault.
            own = [one for one in fallbacks if one.source != ANY_GROUP]
            with_them = "and its fallbacks " if fallbacks else ""
            yield Fault(
                own[0].place if own else deployments[0].place, f'All deployments of "{group}" {with_them}{shared}.'
            )


def duplicate_id(subject: Subject) -> Iterator[Fault]:
    """Two deployments of one id are one to the router."""
    seen: dict[str, Place] = {}
    for deployment in subject.config.deployments:
        node = deployment.info.get("id")
        name = text_of(node)
        if node is None or name is None:
            continue
        if name in seen:
            yield Fault(node.place, f"The `id` of this deployment is that of the one in line {seen[name].line} too.")
        seen.setdefault(name, node.place)


def order_gap(subject: Subject) -> Iterator[Fault]:
    """Orders of a group that leave one out, or that only some deployments have."""
    for group, deployments in subject.config.groups.items():
        orders = [(number(node), node) for one in deployments if (node := one.params.get("order")) is not None]
        if not orders or any(value is None for value, _ in orders):
            continue
        if len(orders) < len(deployments):
            missing = next(one for one in deployments if one.params.get("order") is None)
            yield Fault(missing.place, f'This deployment of "{group}" has no `order`, and others have one.')
        given = sorted((value, node.place.line, node.place) for value, node in orders if value is not None)
        for (lower, _, _), (higher, _, place) in zip(given, given[1:], strict=False):
            if higher - lower > 1:
                yield Fault(place, f'The `order` of "{group}" goes from {lower:g} to {higher:g}.')


def no_continuation(subject: Subject) -> Iterator[Fault]:
    """Streams are to be continued, and no model can."""
    switch = subject.config.setting(CONTINUATION)
    if switch is None or not is_true(switch):
        return
    able = [
        one for one in subject.config.deployments if subject.models.can("supports_assistant_prefill", [one]) is True
    ]
    if not able:
        yield Fault(switch.place, f"`{CONTINUATION}` is on, and no model here is known to continue another's answer.")


def _has_fallback(subject: Subject, group: str) -> bool:
    """Whether another group answers for `group`; one of any group's fallbacks only if it is of the same mode."""
    config, models = subject.config, subject.models
    ours = models.mode(config.groups[group])

    def fits(target: str) -> bool:
        theirs = models.mode(config.groups.get(target, ()))
        return ours is None or theirs is None or ours == theirs

    chosen = config.fallbacks_for(group)
    if any(one.source != ANY_GROUP or fits(config.resolve(one.target)) for one in chosen):
        return True
    return config.falls_back_by_itself and any(name != group and fits(name) for name in config.groups)


def _shared(deployments: Sequence[Deployment]) -> str:
    """What they all share, as the end of a sentence; empty if nothing that is known."""
    regions = {_region(one) for one in deployments}
    if len(regions) == 1 and None not in regions:
        return "are in one region"
    hosts = {_host(one) for one in deployments}
    if len(hosts) == 1 and None not in hosts:
        return "are on one host"
    keys = {_key(one) for one in deployments}
    if len(keys) == 1 and None not in keys:
        return "use one key"
    return ""


def _region(deployment: Deployment) -> tuple[str, str] | None:
    """Provider and region; None where that is no place of its own, or a host is named besides."""
    settings = REGIONAL.get(deployment.provider)
    if settings is None or _endpoint(deployment) is not None:
        return None
    named = [text for name in settings if (text := text_of(deployment.params.get(name)))]
    return deployment.provider.partition("_")[0], named[0] if named else ""


def _host(deployment: Deployment) -> tuple[str, str] | None:
    """The provider, and the host where one is named; None where neither is known."""
    if deployment.provider in REGIONAL and _endpoint(deployment) is None:
        return None
    endpoint = _endpoint(deployment)
    if endpoint is None:
        return (deployment.provider, "") if deployment.provider else None
    text = endpoint.text() or ""
    if is_reference(endpoint):
        return "", text
    try:
        parts = urlsplit(text if "//" in text else f"//{text}")
        return "", f"{parts.hostname}:{parts.port or ''}"
    except ValueError:
        return None


def _endpoint(deployment: Deployment) -> Node | None:
    return next((node for name in ENDPOINTS if (node := deployment.params.get(name)) is not None), None)


def _key(deployment: Deployment) -> str | None:
    """What stands for the account: compared, and never shown. A short one, such as `none`, is what anybody writes."""
    if deployment.provider in SELF_HOSTED:
        return None
    node = next((node for name in CREDENTIALS if (node := deployment.params.get(name)) is not None), None)
    text = text_of(node) or ""
    return text if text.startswith(REFERENCE) or len(text) >= 16 else None
