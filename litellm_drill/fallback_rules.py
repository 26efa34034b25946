"""Rules about who falls back to whom."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from litellm_drill.config import ANY_GROUP, FALLBACK_SETTINGS, Config, Fallback, matches, text_of
from litellm_drill.document import Place
from litellm_drill.finding import Fault, Subject, joined, nearest
from litellm_drill.models import CAPABILITIES

ALL_MODELS = ("all-proxy-models", "all-team-models", ANY_GROUP)
BIGGER = "context_window_fallbacks"


def malformed(subject: Subject) -> Iterator[Fault]:
    """Lists that LiteLLM refuses, or reads as something else."""
    for setting in FALLBACK_SETTINGS:
        listed = subject.config.setting(setting)
        if listed is None:
            continue
        if not listed.is_list:
            yield Fault(listed.place, f"`{setting}` is no list.")
        for item in listed.items:
            if setting == "default_fallbacks":
                wrong = text_of(item) is None
            else:
                wrong = len(item.entries) != 1 or not all(node.is_list for node in item.entries.values())
            if wrong:
                yield Fault(item.place, f"An entry of `{setting}` has another form than the setting asks for.")


def unknown_target(subject: Subject) -> Iterator[Fault]:
    """A fallback to a name that no deployment is asked by."""
    for fallback in subject.config.fallbacks:
        if not subject.config.is_known(fallback.target):
            said = f'"{fallback.target}", which `{fallback.setting}` names here, is no model group.'
            yield from _unknown(subject, fallback.target, fallback.place, said)


def unknown_source(subject: Subject) -> Iterator[Fault]:
    """A fallback from a name that no request can be for."""
    seen: set[tuple[str, Place]] = set()
    for fallback in subject.config.fallbacks:
        source = fallback.source
        if (source, fallback.source_place) in seen or source == ANY_GROUP or _is_asked_by(subject.config, source):
            continue
        seen.add((source, fallback.source_place))
        said = f'"{source}", whose `{fallback.setting}` are given here, is no model group.'
        yield from _unknown(subject, source, fallback.source_place, said)


def unknown_alias(subject: Subject) -> Iterator[Fault]:
    """An alias of a name that no deployment is asked by."""
    for alias, node in subject.config.aliases.items():
        target = node.text() or ""
        if not subject.config.is_known(target):
            said = f'The alias "{alias}" stands for "{target}", which is no model group.'
            yield from _unknown(subject, target, node.place, said)


def loop(subject: Subject) -> Iterator[Fault]:
    """Groups that are each other's fallbacks, in a ring."""
    for setting in FALLBACK_SETTINGS:
        chosen = [one for one in subject.config.fallbacks if one.setting == setting and one.source != ANY_GROUP]
        for ring in _rings(subject.config, chosen):
            path = " -> ".join(f'"{name}"' for name in [*(one.source for one in ring), ring[0].source])
            text = f"The fallbacks {path} lead back to where they began."
            yield Fault(ring[-1].place, text)


def smaller_context(subject: Subject) -> Iterator[Fault]:
    """A fallback that cannot hold what the group can."""
    for group, fallback, target in _pairs(subject):
        config, models = subject.config, subject.models
        ours, theirs = models.context_window(config.groups[group]), models.context_window(config.groups[target])
        if ours is None or theirs is None:
            continue
        if fallback.setting == BIGGER and theirs <= ours:
            text = f'"{fallback.target}" takes {theirs} tokens, no more than "{group}", which it is to relieve, takes.'
            yield Fault(fallback.place, text, "Name a group with a larger context window.")
        elif fallback.setting != BIGGER and theirs < ours and not _has_relief(config, target):
            yield Fault(fallback.place, f'"{fallback.target}" takes {theirs} tokens and "{group}" takes {ours}.')


def other_mode(subject: Subject) -> Iterator[Fault]:
    """A fallback that answers another kind of request."""
    for group, fallback, target in _pairs(subject):
        ours = subject.models.mode(subject.config.groups[group])
        theirs = subject.models.mode(subject.config.groups[target])
        if ours and theirs and ours != theirs:
            yield Fault(fallback.place, f'"{group}" is for {ours} and "{fallback.target}" for {theirs}.')


def missing_capability(subject: Subject) -> Iterator[Fault]:
    """A fallback whose model lacks what the group's have."""
    for group, fallback, target in _pairs(subject):
        ours = subject.config.groups[group]
        theirs = subject.config.groups[target]
        lacking = [
            what
            for capability, what in CAPABILITIES.items()
            if subject.models.can(capability, ours) and subject.models.can(capability, theirs) is False
        ]
        if lacking:
            text = f'"{group}" {" and ".join(lacking)}, and "{fallback.target}" is not known to.'
            yield Fault(fallback.place, text)


def hidden(subject: Subject) -> Iterator[Fault]:
    """A fallback that some who may ask the group may not ask."""
    for group, fallback, target in _pairs(subject):
        for reason in (_team_reason, _access_group_reason, _default_user_reason):
            text = reason(subject.config, group, target)
            if text:
                yield Fault(fallback.place, text)
                break


def _team_reason(config: Config, group: str, target: str) -> str:
    teams = {text_of(one.info.get("team_id")) for one in config.groups[target]}
    ours = {text_of(one.info.get("team_id")) for one in config.groups[group]}
    if None in teams or ours <= teams:
        return ""
    return f'"{target}" belongs to a team of its own, and "{group}" is for others as well.'


def _access_group_reason(config: Config, group: str, target: str) -> str:
    missing = sorted(_access_groups(config, group) - _access_groups(config, target))
    if not missing:
        return ""
    return f'A key for the access group {joined(missing)} may ask "{group}" and not its fallback "{target}".'


def _default_user_reason(config: Config, group: str, target: str) -> str:
    listed = config.root.get("litellm_settings", "default_internal_user_params", "models")
    allowed = [text for item in (listed.items if listed else ()) if (text := text_of(item))]
    allowed_groups = {*_access_groups(config, target), target}
    if not allowed or any(name in ALL_MODELS or name in allowed_groups for name in allowed):
        return ""
    if group not in allowed or any(matches(name, target) for name in allowed if ANY_GROUP in name):
        return ""
    return f'`default_internal_user_params` let a new user ask "{group}" and not its fallback "{target}".'


def _access_groups(config: Config, group: str) -> set[str]:
    """The access groups that a deployment of `group` is in."""
    listed = [one.info.get("access_groups") for one in config.groups[group]]
    return {text for node in listed if node for item in node.items if (text := text_of(item))}


def _pairs(subject: Subject) -> Iterator[tuple[str, Fallback, str]]:
    """Each group with each of the fallbacks it can go to and the group that this is, of which the deployments are
    known. What any group falls back to is the concern of those of its own mode."""
    config = subject.config
    for fallback in config.fallbacks:
        target = config.resolve(fallback.target)
        for group, deployments in config.groups.items():
            chosen = config.is_source(fallback.source, group) or _is_default_for(subject, fallback, group)
            if chosen and group != target and target in config.groups and deployments and ANY_GROUP not in group:
                yield group, fallback, target


def _is_default_for(subject: Subject, fallback: Fallback, group: str) -> bool:
    if fallback.source != ANY_GROUP or fallback not in subject.config.fallbacks_for(group):
        return False
    target = subject.config.resolve(fallback.target)
    modes = {subject.models.mode(subject.config.groups.get(name, ())) for name in (group, target)}
    return len(modes - {None}) < 2


def _has_relief(config: Config, group: str) -> bool:
    return any(one.setting == BIGGER and config.is_source(one.source, group) for one in config.fallbacks)


def _is_asked_by(config: Config, source: str) -> bool:
    """Whether a request can be for `source`, also without the provider that a pattern or a group begins with."""
    prefixed = [f"{name.partition('/')[0]}/{source}" for name in config.groups if "/" in name]
    return any(map(config.is_known, [source, *prefixed]))


def _unknown(subject: Subject, name: str, place: Place, said: str) -> Iterator[Fault]:
    """The fault that no group is called `name`, and which one may be meant. Where the proxy knows more groups from its
    database, only what is nearly a name of the file."""
    elsewhere = subject.config.has_models_elsewhere
    meant = nearest(name, [*subject.config.groups, *subject.config.aliases], likeness=0.8 if elsewhere else 0.6)
    if meant is not None:
        yield Fault(place, said, f'Write "{meant}", if that is meant.')
    elif not elsewhere:
        yield Fault(place, said)


def _rings(config: Config, fallbacks: Sequence[Fallback]) -> Iterator[list[Fallback]]:
    """Each ring of fallbacks once, from its first group in the file on."""
    sources = list(dict.fromkeys(config.resolve(one.source) for one in fallbacks))
    leading: dict[str, list[Fallback]] = {source: [] for source in sources}
    for one in fallbacks:
        leading[config.resolve(one.source)].append(one)
    done: set[str] = set()
    for source in sources:
        ring = _path_back(source, leading, config.resolve, done)
        if ring:
            yield ring
            done |= {config.resolve(one.source) for one in ring}


def _path_back(
    start: str, leading: dict[str, list[Fallback]], resolve: Callable[[str], str], done: set[str]
) -> list[Fallback]:
    """The shortest way from `start` along fallbacks back to it, past none of `done`; empty if there is none."""
    ways: list[list[Fallback]] = [[]]
    seen = set(done)
    for way in ways:  # which grows meanwhile
        here = resolve(way[-1].target) if way else start
        for fallback in leading.get(here, ()):
            target = resolve(fallback.target)
            if target == start and start not in done:
                return [*way, fallback]
            if target not in seen:
                seen.add(target)
                ways.append([*way, fallback])
    return []
