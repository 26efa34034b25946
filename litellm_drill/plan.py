"""What of a config is drilled: which deployments have a stand-in, what is broken, and what can go side by side."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from litellm_drill.config import ANY_GROUP, Config, number
from litellm_drill.document import ConfigError
from litellm_drill.limit_rules import CLIENTS_PATIENCE
from litellm_drill.models import Models
from litellm_drill.outcome import Scenario, Scope
from litellm_drill.providers import EMBEDDING, UNKNOWN, provider_of, reason_against
from litellm_drill.release import Release
from litellm_drill.stand_in import Fault

LITELLMS_TIMEOUT = 6000.0
"""Seconds that LiteLLM waits where nothing says how long."""

MANY = 4000
"""Scenarios: at about twenty a second more than three minutes."""


@dataclass(frozen=True)
class Plan:
    """The drill of a config: `spoken` is the provider whose format stands in for each deployment, by its number from 0
    on, empty where it can not be spoken for; `not_drilled` says why, by its label or its group's name; `sample` is how
    many groups are drilled, None for all."""

    config: Config
    spoken: Mapping[int, str]
    not_drilled: Mapping[str, str]
    embeddings: frozenset[str]
    sample: int | None = None

    @cached_property
    def members(self) -> dict[str, list[int]]:
        """The deployments of each group, by number."""
        members: defaultdict[str, list[int]] = defaultdict(list)
        for i, deployment in enumerate(self.config.deployments):
            members[deployment.group].append(i)
        return dict(members)

    @cached_property
    def labels(self) -> dict[int, str]:
        """What the report calls each deployment: its group, and its place there from 1 on."""
        return {i: f"{group} #{place}" for group, all_of in self.members.items() for place, i in enumerate(all_of, 1)}

    @cached_property
    def groups(self) -> list[str]:
        """Those that are drilled, in order; of a sample evenly spread ones."""
        able = [
            name for name, all_of in self.members.items() if ANY_GROUP not in name and any(map(self.spoken.get, all_of))
        ]
        if self.sample is None or self.sample >= len(able):
            return able
        return [able[place * len(able) // self.sample] for place in range(self.sample)]

    def reach(self, group: str) -> list[int]:
        """The deployments that a question to `group` may come to, in order."""
        return [i for name in self.config.reached(group) for i in self.members.get(name, ())]

    @cached_property
    def reachable(self) -> set[int]:
        """All deployments that need a stand-in of their own."""
        return {i for group in self.groups for i in self.reach(group)}

    @cached_property
    def components(self) -> dict[str, int]:
        """Groups with the same number may ask the same deployments, so they are drilled one after the other."""
        numbers = {group: place for place, group in enumerate(self.groups)}
        owner: dict[int, str] = {}
        for group in self.groups:
            for i in self.reach(group):
                other = owner.setdefault(i, group)
                old, new = numbers[group], numbers[other]
                numbers = {name: new if found == old else found for name, found in numbers.items()}
        return numbers

    @cached_property
    def scenarios(self) -> list[Scenario]:
        """All that is broken, group by group."""
        return [scenario for group in self.groups for scenario in self._of(group)]

    def timeout(self, i: int, streamed: bool) -> float | None:
        """Seconds that deployment `i` is waited for by the config, None where the environment says it."""
        deployment = self.config.deployments[i]
        node = self.config.timeout(deployment)
        if streamed:
            node = (
                deployment.params.get("stream_timeout")
                or self.config.root.get("router_settings", "stream_timeout")
                or node
            )
        return LITELLMS_TIMEOUT if node is None else number(node)

    def waits(self, group: str) -> float:
        """Seconds that a question to `group` may spend between its attempts by `retry_after`, but no longer than a
        client waits."""
        config = self.config
        reached = [config.deployments[i] for i in self.reach(group)]
        most = max((config.retries(one)[0] or 0 for one in reached), default=0)
        between = number(config.setting("retry_after")) or 0.0
        return min(between * most * len({one.group for one in reached}), CLIENTS_PATIENCE)

    def _of(self, group: str) -> Iterator[Scenario]:
        for scope, broken in _broken(
            self.members[group], [i for i in self.members[group] if self.spoken.get(i)], self.sample
        ):
            for fault in Fault:
                for streamed in (False,) if group in self.embeddings else (False, True):
                    yield Scenario(group, broken, scope, fault, streamed)


def _broken(members: Sequence[int], able: Sequence[int], sample: int | None) -> Iterator[tuple[Scope, tuple[int, ...]]]:
    """Each of the `able` ones, each pair of them, and the whole group; of a sample the first and last, and one pair."""
    single = able if sample is None else list(dict.fromkeys((able[0], able[-1])))
    yield from ((Scope.ONE, (i,)) for i in single)
    if len(members) > 2 and len(able) > 1:
        pairs = itertools.combinations(able, 2)
        yield from ((Scope.PAIR, pair) for pair in (pairs if sample is None else itertools.islice(pairs, 1)))
    if len(members) > 1:
        yield Scope.ALL, tuple(members)


def planned(config: Config, release: Release, sample: int | None = None) -> Plan:
    """What is drilled of `config`. Raises ConfigError if it has no deployment, or none but of unknown providers."""
    if not config.deployments:
        raise ConfigError(f"{config.root.place.file}: has no deployment in model_list to drill.")
    models = Models(release)
    spoken: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for i, deployment in enumerate(config.deployments):
        provider = provider_of(deployment, release)
        reasons[i] = reason_against(deployment, provider, models)
        spoken[i] = "" if reasons[i] else provider
    plan = Plan(config, spoken, {}, _embeddings(config, models), sample)
    if not plan.groups and UNKNOWN in reasons.values():
        i = next(i for i, reason in reasons.items() if reason == UNKNOWN)
        place = config.deployments[i].place
        raise ConfigError(f"{place.file}:{place.line}: nothing can be drilled: {UNKNOWN}.")
    return Plan(config, spoken, _not_drilled(plan, reasons), plan.embeddings, sample)


def _not_drilled(plan: Plan, reasons: Mapping[int, str]) -> dict[str, str]:
    told = {plan.labels[i]: reason for i, reason in reasons.items() if reason}
    wild = {group: "its name stands for many" for group in plan.members if ANY_GROUP in group}
    drilled = plan.groups
    left = [group for group in plan.members if any(map(plan.spoken.get, plan.members[group])) and group not in drilled]
    incomplete = {
        f"model_list, line {node.place.line}": "it has no model_name" for node in plan.config.entries_without_group
    }
    return {**told, **incomplete, **dict.fromkeys(left, "not in the sample"), **wild}


def _embeddings(config: Config, models: Models) -> frozenset[str]:
    return frozenset(name for name, all_of in config.groups.items() if models.mode(all_of) == EMBEDDING)


def rounds(scenarios: Sequence[Scenario], components: Mapping[str, int]) -> list[tuple[Scenario, ...]]:
    """Scenarios that can go side by side, of each component one; silent ones, which take longest, are first and by
    themselves, as the proxy has short timeouts then."""
    made: list[tuple[Scenario, ...]] = []
    for is_silent in (True, False):
        queues: defaultdict[int, list[Scenario]] = defaultdict(list)
        for scenario in scenarios:
            if (scenario.fault is Fault.SILENT) is is_silent:
                queues[components[scenario.group]].append(scenario)
        made += [
            tuple(one for one in side_by_side if one is not None)
            for side_by_side in itertools.zip_longest(*queues.values())
        ]
    return made
