"""A config as what the rules ask about: model groups and their deployments, settings, and who falls back to whom."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

from litellm_drill.document import Node, Place

REFERENCE = "os.environ/"
FOR_ANY_FAILURE = ("fallbacks", "default_fallbacks")
FALLBACK_SETTINGS = (*FOR_ANY_FAILURE, "context_window_fallbacks", "content_policy_fallbacks")
ANY_GROUP = "*"
DEFAULT_RETRIES = 2
"""What LiteLLM retries where no setting says how often."""


@dataclass(frozen=True)
class Deployment:
    """An entry of model_list: the `node`, its `group` (model_name) and what stands in litellm_params and model_info."""

    node: Node
    group: str
    params: Node
    info: Node

    @property
    def place(self) -> Place:
        """Where its model_name stands."""
        name = self.node.get("model_name")
        return self.node.place if name is None else name.place

    @property
    def model(self) -> str:
        """The model as LiteLLM names it, such as `azure/my-deployment`; empty if none is given."""
        node = self.params.get("model")
        return "" if node is None else node.text() or ""

    @property
    def provider(self) -> str:
        """What says which provider is asked; empty where only the model's name does."""
        named = self.params.get("custom_llm_provider")
        prefix, slash, _ = self.model.partition("/")
        return (named.text() if named is not None else None) or (prefix if slash else "")


@dataclass(frozen=True)
class Fallback:
    """That `source`, a group or ANY_GROUP, falls back to `target` by the setting called `setting`."""

    setting: str
    source: str
    source_place: Place
    target: str
    place: Place


class Config:
    """A whole config, read from its `root`."""

    def __init__(self, root: Node) -> None:
        self.root = root

    @cached_property
    def deployments(self) -> Sequence[Deployment]:
        """Those that have a name, in order."""
        listed = self.root.get("model_list")
        return [made for node in (listed.items if listed else ()) if (made := _deployment(node)) is not None]

    @property
    def entries_without_group(self) -> Sequence[Node]:
        """Those of model_list that have no name, and are no deployments."""
        listed = self.root.get("model_list")
        return [node for node in (listed.items if listed else ()) if _deployment(node) is None]

    @cached_property
    def groups(self) -> dict[str, list[Deployment]]:
        """The deployments of each model group, by its name, in order."""
        groups: dict[str, list[Deployment]] = {}
        for deployment in self.deployments:
            groups.setdefault(deployment.group, []).append(deployment)
        return groups

    @cached_property
    def aliases(self) -> dict[str, Node]:
        """The group that each alias stands for, by the alias."""
        listed = self.setting("model_group_alias")
        found = {name: node.get("model") or node for name, node in (listed.entries if listed else {}).items()}
        return {name: node for name, node in found.items() if node.text() is not None}

    @cached_property
    def fallbacks(self) -> Sequence[Fallback]:
        """All that are configured, in order; those of a list that is malformed are left out."""
        return [fallback for name in FALLBACK_SETTINGS for fallback in self._fallbacks_of(name)]

    def _fallbacks_of(self, setting: str) -> Iterator[Fallback]:
        listed = self.setting(setting)
        for item in listed.items if listed else ():
            if setting == "default_fallbacks":
                yield from _targets(setting, ANY_GROUP, item.place, [item])
            for source, targets in item.entries.items():
                yield from _targets(setting, source, targets.place, targets.items)

    def setting(self, name: str) -> Node | None:
        """A setting of the router: `router_settings` wins over `litellm_settings`."""
        return self.root.get("router_settings", name) or self.root.get("litellm_settings", name)

    def resolve(self, name: str) -> str:
        """The group that `name` asks for, through an alias if it is one."""
        alias = self.aliases.get(name)
        return name if alias is None else alias.text() or name

    def is_known(self, name: str) -> bool:
        """Whether a request for `name` finds a deployment: by group, alias, pattern, id, team's name or model."""
        return self.resolve(name) in self.names or any(matches(pattern, name) for pattern in self.patterns)

    @cached_property
    def names(self) -> frozenset[str]:
        """Every name that a deployment can be asked by, patterns left out."""
        infos = (text_of(one.info.get(key)) for one in self.deployments for key in ("id", "team_public_model_name"))
        routing = self.setting("routing_groups")
        named = (text_of(item.get("group_name") or item.get("name")) for item in (routing.items if routing else ()))
        models = (deployment.model for deployment in self.deployments)
        return frozenset(filter(None, [*self.groups, *infos, *models, *named]))

    @cached_property
    def patterns(self) -> Sequence[str]:
        """The groups that stand for many names, such as `openai/*`."""
        return [name for name in self.groups if ANY_GROUP in name]

    @property
    def has_models_elsewhere(self) -> bool:
        """Whether the proxy may know more groups than the file, from its database."""
        return is_true(self.root.get("general_settings", "store_model_in_db"))

    def fallbacks_for(self, group: str) -> list[Fallback]:
        """Those that a failed request to `group` can go to: its own, else the ones for any group."""
        plain = [one for one in self.fallbacks if one.setting in FOR_ANY_FAILURE]
        own = [one for one in plain if self.is_source(one.source, group)]
        chosen = own or [one for one in plain if one.source == ANY_GROUP]
        return [one for one in chosen if self.resolve(one.target) != group]

    def reached(self, group: str) -> list[str]:
        """The groups that a request to `group` may come to, in order: itself, its fallbacks, and theirs."""
        found, known = [group], {group}
        for name in found:  # which grows
            targets = self._nexts[name] if name in self._nexts else self._next(name)
            new = [target for target in dict.fromkeys(targets) if target not in known]
            found += new
            known.update(new)
        return found

    @cached_property
    def _nexts(self) -> dict[str, list[str]]:
        return {group: self._next(group) for group in self.groups}

    def _next(self, name: str) -> list[str]:
        """The groups that take over from the one called `name`."""
        own = self.fallbacks_for(name)
        return list(self.groups) if self.falls_back_by_itself and not own else [self.resolve(one.target) for one in own]

    def is_source(self, source: str, group: str) -> bool:
        """Whether the fallbacks of `source` are those of `group`: by its name, an alias, or without its provider."""
        if source == ANY_GROUP:
            return False
        return self.resolve(source) == group or group.partition("/")[2] == source

    @property
    def falls_back_by_itself(self) -> bool:
        """Whether each group falls back to the others of its kind."""
        return is_true(self.setting("automatic_fallbacks"))

    def retries(self, deployment: Deployment | None = None) -> tuple[float | None, Node | None]:
        """How often a request is retried, None where that is not in the file, and where it is set, if it is."""
        node = (deployment.params.get("num_retries") if deployment else None) or self.setting("num_retries")
        return (DEFAULT_RETRIES, None) if node is None else (number(node), node)

    def timeout(self, deployment: Deployment) -> Node | None:
        """How long `deployment` is waited for, in seconds, if the file says so."""
        return (
            deployment.params.get("timeout")
            or deployment.params.get("request_timeout")
            or self.root.get("router_settings", "timeout")
            or self.root.get("router_settings", "default_litellm_params", "timeout")
            or self.root.get("litellm_settings", "request_timeout")
        )


def _deployment(node: Node) -> Deployment | None:
    group = text_of(node.get("model_name"))
    nothing = Node(node.place, is_mapping=True)
    if not group:
        return None
    return Deployment(node, group, node.get("litellm_params") or nothing, node.get("model_info") or nothing)


def _targets(setting: str, source: str, place: Place, items: Sequence[Node]) -> Iterator[Fallback]:
    """A fallback that brings its own host or key along needs no group."""
    for item in items:
        own = item.get("api_base") or item.get("api_key")
        target = text_of(item if not item.is_mapping else item.get("model"))
        if target and own is None:
            yield Fallback(setting, source, place, target, item.place)


def matches(pattern: str, name: str) -> bool:
    """Whether a request for `name` is one for the group `pattern`, in which `*` is any text."""
    return re.match(".*".join(map(re.escape, pattern.split(ANY_GROUP))), name) is not None


def text_of(node: Node | None) -> str | None:
    """A scalar as text, as in an id that is a number; None for anything else."""
    if node is None or node.is_null() or node.is_mapping or node.is_list:
        return None
    return str(node.value)


def is_reference(node: Node) -> bool:
    """Whether the value is in the environment, so that the file does not say what it is."""
    return (node.text() or "").startswith(REFERENCE)


def is_true(node: Node | None) -> bool:
    """Whether a switch is on, in any spelling that YAML has had for it."""
    return node is not None and str(node.value).lower() in ("true", "yes", "on")


def number(node: Node | None) -> float | None:
    """The number that is given, or the text of one; None for what is none or stands in the environment."""
    if node is None or isinstance(node.value, bool) or not isinstance(node.value, (int, float, str)):
        return None
    try:
        found = float(node.value)
    except ValueError:
        return None
    return found if math.isfinite(found) else None
