"""Rules about names: of settings, and of variables of the environment."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from litellm_drill.config import REFERENCE, Config, is_reference
from litellm_drill.document import Node
from litellm_drill.finding import Fault, Subject, nearest
from litellm_drill.release import Release

VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
"""A name that is shown. Anything else after `os.environ/` may be what somebody took for the place of the key itself."""

LISTED = ("router_settings", "retry_policy", "allowed_fails_policy", "model_list", "model_info")
"""What is read by the names of a list alone."""

OF_A_DEPLOYMENT = ("model_name", "litellm_params", "model_info")
BESIDE = (*OF_A_DEPLOYMENT, "rpm", "tpm")
"""What LiteLLM reads of an entry of model_list: some strategies have its limits there."""

OF_THE_ROUTER_ALONE = ("background_probes", "max_cooldown_time", "retry_budget", "total_timeout")
"""Settings of this branch that are no deployment's, whose provider would be sent them."""

OF_THE_OPERATOR = ("x-", "_", ".")
"""How keys begin that hold what is repeated by an anchor; LiteLLM reads none of them."""


@dataclass(frozen=True)
class Unknown:
    """A setting called `name` that no list of the section `section` has; `near` is the one it may be meant for."""

    section: str
    name: str
    node: Node
    near: str | None
    elsewhere: str | None

    @property
    def has_remedy(self) -> bool:
        """Whether another name or place can be meant."""
        return bool(self.near or self.elsewhere)


def unset_variable(subject: Subject) -> Iterator[Fault]:
    """A reference to a variable that is not set here, whatever it is the value of."""
    config = subject.config
    if config.root.get("general_settings", "key_management_system"):
        return  # which is asked instead of the environment
    given = config.root.get("environment_variables")
    own = {name for name, node in (given.entries if given else {}).items() if not is_reference(node)}
    for node in config.root.walk():
        name = (node.text() or "").removeprefix(REFERENCE)
        if is_reference(node) and name not in own and not subject.is_set(name):
            shown = f"`{name}`" if VARIABLE.fullmatch(name) else "that is referred to"
            yield Fault(node.place, f"The variable {shown} is not set in this environment.")


def unknown_setting(subject: Subject) -> Iterator[Fault]:
    """A setting that the installed LiteLLM does not know, or knows in another section."""
    yield from _unknown_strategy(subject.config, subject.release)
    places = (_of_sections, _of_the_top, _of_deployments, _of_the_router, _of_policies)
    suspects = [one for unknown_in in places for one in unknown_in(subject.config, subject.release)]
    open_ones = [one for one in suspects if one.section not in LISTED]
    excused = _excused(open_ones, subject.release)
    for one in suspects:
        if one not in excused:
            place = f"in `{one.section}`" if one.section else "at the top of a config"
            yield Fault(one.node.place, f"LiteLLM knows no setting `{one.name}` {place}.", _remedy(one))


def _excused(suspects: Sequence[Unknown], release: Release) -> list[Unknown]:
    """Those that one of LiteLLM's many modules reads although no list has them: from their section as its code shows,
    or, where no other name or place can be meant, by being mentioned at all."""
    by_section: defaultdict[str, list[Unknown]] = defaultdict(list)
    for one in suspects:
        by_section[one.section].append(one)
    read = {
        section: release.read_from(section, [one.name for one in ones]) if section else set()
        for section, ones in by_section.items()
    }
    unclear = [one.name for one in suspects if not one.has_remedy and one.name not in read[one.section]]
    mentioned = release.mentioned(unclear)
    return [one for one in suspects if one.name in read[one.section] or (not one.has_remedy and one.name in mentioned)]


def _of_sections(config: Config, release: Release) -> Iterator[Unknown]:
    tables = _tables(release)
    for section, known in tables.items():
        node = config.root.get(section) if known else None  # a list that is not found knows nothing to be unknown
        for name, setting in (node.entries if node else {}).items():
            if name in known:
                continue
            elsewhere = next((key for key, names in tables.items() if key != section and name in names), None)
            yield Unknown(section, name, setting, nearest(name, known), elsewhere)


def _of_the_top(config: Config, release: Release) -> Iterator[Unknown]:
    tables = _tables(release)
    for name, node in config.root.entries.items():
        if name in release.sections or name.startswith(OF_THE_OPERATOR):
            continue
        elsewhere = next((key for key, names in tables.items() if name in names), None)
        near = nearest(name, release.sections)
        if elsewhere or near or not (node.is_mapping or node.is_list):
            yield Unknown("", name, node, near, elsewhere)


def _of_deployments(config: Config, release: Release) -> Iterator[Unknown]:
    """A name that is nearly one of litellm_params or model_info: what is not even that goes to the provider, or to who
    asks for it. And what stands beside them, where LiteLLM reads limits alone."""
    for deployment in config.deployments:
        yield from _nearly("litellm_params", deployment.params, release.parameters)
        yield from _nearly("model_info", deployment.info, release.model_info)
        for name, node in deployment.node.entries.items():
            near = None if name in OF_A_DEPLOYMENT else nearest(name, OF_A_DEPLOYMENT)
            elsewhere = "litellm_params" if name in release.parameters and name not in BESIDE else None
            if near or elsewhere:
                yield Unknown("model_list", name, node, near, elsewhere)


def _of_the_router(config: Config, release: Release) -> Iterator[Unknown]:
    """What only the router has, among what is sent to a provider."""
    sent = [("litellm_params", deployment.params) for deployment in config.deployments]
    for_all = config.setting("default_litellm_params")
    for section, given in [*sent, *([("default_litellm_params", for_all)] if for_all else [])]:
        for name in OF_THE_ROUTER_ALONE:
            node = given.get(name)
            if node is not None:
                yield Unknown(section, name, node, None, "router_settings")


def _nearly(section: str, given: Node, known: Collection[str]) -> Iterator[Unknown]:
    for name, node in given.entries.items():
        near = None if name in known else nearest(name, known, likeness=0.8)
        if near is not None and not name.startswith(f"{near}_"):
            yield Unknown(section, name, node, near, None)


def _of_policies(config: Config, release: Release) -> Iterator[Unknown]:
    """A kind of failure that a policy has no number for: LiteLLM leaves it out without a word."""
    known = {"retry_policy": release.retry_policy, "allowed_fails_policy": release.allowed_fails_policy}
    places = [node for name in ("router_settings", "litellm_settings") if (node := config.root.get(name))]
    places += [one.params for one in config.deployments]
    for policy, names in known.items():
        given = [node for place in places if (node := place.get(policy)) is not None]
        if policy == "retry_policy":
            by_group = config.setting("model_group_retry_policy")
            given += list(by_group.entries.values()) if by_group else []
        for name, node in (item for one in given for item in one.entries.items()):
            if names and name not in names:
                yield Unknown(policy, name, node, nearest(name, names), None)


def _unknown_strategy(config: Config, release: Release) -> Iterator[Fault]:
    """A way to choose a deployment that no router of this release has, so that the proxy does not start."""
    node = config.setting("routing_strategy")
    text = node.text() if node is not None else None
    if node is None or text is None or is_reference(node) or not release.strategies or text in release.strategies:
        return
    near = nearest(text, release.strategies)
    remedy = f"Write `routing_strategy: {near or 'simple-shuffle'}`, if that is meant."
    yield Fault(node.place, "LiteLLM knows no `routing_strategy` of this name.", remedy)


def _tables(release: Release) -> Mapping[str, Iterable[str]]:
    """The settings of each section; last those of litellm, which has variables of many other names."""
    return {
        "router_settings": release.router_settings,
        "general_settings": release.general_settings,
        "litellm_settings": release.litellm_settings,
    }


def _remedy(unknown: Unknown) -> str:
    if unknown.elsewhere:
        return f"Move it to `{unknown.elsewhere}`."
    return f"Write `{unknown.near}`, if that is meant." if unknown.near else ""
