"""Rules about names: of settings, and of variables of the environment."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from litellm_drill.config import REFERENCE, Config, is_reference
from litellm_drill.document import Node
from litellm_drill.finding import Fault, Subject, nearest
from litellm_drill.release import Release

VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
"""A name that is shown. Anything else after `os.environ/` may be what somebody took for the place of the key itself."""

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
    places = (_of_sections, _of_the_top, _of_deployments)
    suspects = [one for unknown_in in places for one in unknown_in(subject.config, subject.release)]
    # Router alone says what it takes; the other sections are read in many modules, which are searched once.
    names = {one.name for one in suspects if one.section != "router_settings"}
    read = subject.release.mentioned(names)
    for one in suspects:
        if one.section == "router_settings" or one.elsewhere or one.name not in read:
            place = f"in `{one.section}`" if one.section else "at the top of a config"
            yield Fault(one.node.place, f"LiteLLM knows no setting `{one.name}` {place}.", _remedy(one))


def _of_sections(config: Config, release: Release) -> Iterator[Unknown]:
    tables = _tables(release)
    for section, known in tables.items():
        node = config.root.get(section)
        for name, setting in (node.entries if node else {}).items():
            if name in known:
                continue
            # A variable of litellm is no setting of the other sections, but for what a router has too.
            others = {key: names for key, names in tables.items() if key not in (section, "litellm_settings")}
            elsewhere = next((key for key, names in others.items() if name in names), None)
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
    """A name that is nearly one of litellm_params: what is not even that goes to the provider, who may know it."""
    for deployment in config.deployments:
        for name, node in deployment.params.entries.items():
            near = None if name in release.parameters else nearest(name, release.parameters, likeness=0.85)
            if near is not None:
                yield Unknown("litellm_params", name, node, near, None)


def _tables(release: Release) -> Mapping[str, Iterable[str]]:
    return {
        "router_settings": release.router_settings,
        "general_settings": release.general_settings,
        "litellm_settings": release.litellm_settings,
    }


def _remedy(unknown: Unknown) -> str:
    if unknown.elsewhere:
        return f"Move it to `{unknown.elsewhere}`."
    return f"Write `{unknown.near}`, if that is meant." if unknown.near else ""
