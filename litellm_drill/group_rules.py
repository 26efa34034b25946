"""Rules about what a model group is made of: who is left when one of its deployments is down."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from urllib.parse import urlsplit

from litellm_drill.config import ANY_GROUP, REFERENCE, Config, Deployment, is_reference, is_true, number, text_of
from litellm_drill.document import Node, Place
from litellm_drill.finding import Fault, Subject
from litellm_drill.providers import provider_of

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

PATH_REGION = re.compile(r"(?:/|arn:aws[\w-]*:bedrock:)([a-z]{2,4}(?:-[a-z]+)+-\d)[/:]")
"""The region in a model's name: `bedrock/us-east-1/...`, or an ARN's."""

PROFILE = re.compile(r"(?:^|/)([a-z]{2,6}|us-gov)\.(?:[a-z0-9-]+\.)")
"""How an inference profile begins, which belongs to some regions, such as `us.anthropic.claude`."""

EVERYWHERE = "global"
"""The location of what is served from any region."""

HOSTS = {"openai": "api.openai.com", "anthropic": "api.anthropic.com"}
"""Where providers are asked that no api_base is given for, and may as well be by api_base."""

PORTS = {"http": 80, "https": 443}
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
    for group, deployments in config.groups.items() if not config.falls_back_by_itself else ():
        fallbacks = config.fallbacks_for(group)
        reached = [config.groups.get(name, []) for name in config.reached(group)]
        everyone = [one for each in reached for one in each]
        if len(everyone) < 2 or not all(reached) or ANY_GROUP in group:
            continue
        shared = _shared(subject, everyone)
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


def _shared(subject: Subject, deployments: Sequence[Deployment]) -> str:
    """What they all share, as the end of a sentence; empty if nothing that is known."""
    served = [_Served(subject, one) for one in deployments]
    ways = (
        ("are in one region", [one.region for one in served]),
        ("are on one host", [one.host for one in served]),
        ("use one key", [_key(one) for one in deployments]),
    )
    return next((text for text, found in ways if len(set(found)) == 1 and None not in found), "")


class _Served:
    """Where a deployment is served, by its own parameters and by those of its credential in credential_list."""

    def __init__(self, subject: Subject, deployment: Deployment) -> None:
        named = provider_of(deployment, subject.release) or deployment.provider
        self.provider = "vertex_ai" if named.startswith("vertex_ai") else named
        self._deployment = deployment
        self._credential = _credential(subject.config, deployment)
        self._is_elsewhere = "litellm_credential_name" in deployment.params.entries and self._credential is None
        self._endpoint = next((node for name in ENDPOINTS if (node := self._given(name)) is not None), None)

    def _given(self, name: str) -> Node | None:
        own = self._deployment.params.get(name)
        return self._credential.get(name) if own is None and self._credential is not None else own

    @property
    def region(self) -> tuple[str, ...] | None:
        """Provider, region and profile; None where that is no place of its own, or a host is named besides."""
        settings = REGIONAL.get(self.provider)
        if settings is None or self._endpoint is not None or self._is_elsewhere:
            return None
        model = self._deployment.model
        in_path, profile = PATH_REGION.search(model), PROFILE.search(model)
        named = [text for name in settings if (text := text_of(self._given(name)))]
        place = named[0] if named else in_path[1] if in_path else ""
        if place == EVERYWHERE:
            return None
        return self.provider.partition("_")[0], place, profile[1] if profile else ""

    @property
    def host(self) -> tuple[str, str] | None:
        """The host where one is known, else the provider; None where neither is."""
        if self._endpoint is None:
            if self.provider in REGIONAL or self._is_elsewhere:
                return None
            if self.provider in HOSTS:
                return "", f"{HOSTS[self.provider]}:443"
            return (self.provider, "") if self.provider else None
        text = self._endpoint.text() or ""
        if is_reference(self._endpoint):
            return "", text
        try:
            parts = urlsplit(text if "//" in text else f"https://{text}")
            return "", f"{parts.hostname}:{parts.port or PORTS.get(parts.scheme, '')}"
        except ValueError:
            return None


def _credential(config: Config, deployment: Deployment) -> Node | None:
    """The values of the credential that a deployment names, if the file has them."""
    name, listed = text_of(deployment.params.get("litellm_credential_name")), config.root.get("credential_list")
    for item in listed.items if listed else ():
        if name is not None and text_of(item.get("credential_name")) == name:
            return item.get("credential_values")
    return None


def _key(deployment: Deployment) -> str | None:
    """What stands for the account: compared, and never shown. A short one, such as `none`, is what anybody writes."""
    if deployment.provider in SELF_HOSTED:
        return None
    node = next((node for name in CREDENTIALS if (node := deployment.params.get(name)) is not None), None)
    text = text_of(node) or ""
    return text if text.startswith(REFERENCE) or len(text) >= 16 else None
