"""Rules about numbers: retries, timeouts, cooldowns and health checks."""

from __future__ import annotations

from collections.abc import Iterator

from litellm_drill.config import ANY_GROUP, Config, Deployment, is_reference, is_true, number
from litellm_drill.document import Node, Place
from litellm_drill.finding import Fault, Subject

CLIENTS_PATIENCE = 600
"""Seconds that OpenAI's and Anthropic's clients wait for an answer unless they are told otherwise."""

PRACTICALLY_NEVER = 100
"""So many failures within one cooldown's time are as good as none allowed: LiteLLM forgets those that are older."""

OF_THE_REQUEST = ("BadRequestErrorAllowedFails", "ContentPolicyViolationErrorAllowedFails")
"""What a deployment is not to blame for, and may well be allowed without end."""

A_DAY = 86400
ROUTER = "router_settings"


def too_few_retries(subject: Subject) -> Iterator[Fault]:
    """A group that has more deployments than a request has attempts; the largest one that a line is about."""
    config = subject.config
    if config.setting("retry_policy") or config.setting("model_group_retry_policy"):
        return  # which say it by the kind of failure
    found: dict[Place, Fault] = {}
    for group, deployments in sorted(config.groups.items(), key=lambda one: -len(one[1])):
        retries, node = _fewest_retries(config, deployments)
        if ANY_GROUP in group or retries is None or retries >= len(deployments) - 1:
            continue
        place = deployments[0].place if node is None else node.place
        given = f"{retries:g} retries" if node else f"LiteLLM's own {retries:g} retries"
        text = f'"{group}" has {len(deployments)} deployments, and a request that has {given} cannot ask them all.'
        found.setdefault(place, Fault(place, text, f"Set `num_retries: {len(deployments) - 1}`, or more."))
    yield from found.values()


def no_timeout(subject: Subject) -> Iterator[Fault]:
    """A silent deployment is waited for as long as LiteLLM's own default lasts."""
    for group, deployments in subject.config.groups.items():
        without = [one for one in deployments if subject.config.timeout(one) is None]
        if without:
            yield Fault(without[0].place, f'A deployment of "{group}" has no `timeout`.')


def too_long_in_all(subject: Subject) -> Iterator[Fault]:
    """All attempts together outlast the caller, so that the last ones are for nobody; a line is told once."""
    config = subject.config
    found: dict[Place, Fault] = {}
    for group, deployments in config.groups.items():
        longest = max(deployments, key=lambda one: number(config.timeout(one)) or 0)
        timeout, (retries, _) = config.timeout(longest), config.retries(longest)
        seconds, (limit, whose) = number(timeout), patience(config)
        if timeout is None or seconds is None or retries is None or seconds * (retries + 1) <= limit:
            continue
        text = f'"{group}" may take {retries + 1:g} attempts of {seconds:g} seconds, longer than {whose} ({limit:g}).'
        found.setdefault(timeout.place, Fault(timeout.place, text))
    yield from found.values()


def no_cooldown(subject: Subject) -> Iterator[Fault]:
    """A failing deployment is asked again at once."""
    for node in _each(subject.config, "cooldown_time"):
        seconds = number(node)
        if seconds is not None and seconds <= 0:
            yield Fault(node.place, f"A `cooldown_time` of {seconds:g} leaves a failing deployment in rotation.")


def cooldowns_disabled(subject: Subject) -> Iterator[Fault]:
    """No deployment is ever taken out."""
    for node in _each(subject.config, "disable_cooldowns"):
        if is_true(node):
            yield Fault(node.place, "`disable_cooldowns` keeps failing deployments in rotation.")


def allows_all_fails(subject: Subject) -> Iterator[Fault]:
    """So many failures are allowed that none ever leads to a cooldown."""
    for node in _each(subject.config, "allowed_fails"):
        yield from _practically_never("allowed_fails", node)
    for policy in _each(subject.config, "allowed_fails_policy"):
        for name, node in policy.entries.items():
            if name not in OF_THE_REQUEST:
                yield from _practically_never(name, node)


def health_check_interval(subject: Subject) -> Iterator[Fault]:
    """An interval that is no time, or of which one is too long to notice an outage by."""
    node = subject.config.root.get("general_settings", "health_check_interval")
    if node is None or is_reference(node):
        return
    seconds = number(node)
    if seconds is None or seconds <= 0:
        yield Fault(node.place, "`health_check_interval` is no number of seconds above zero.")
    elif seconds > A_DAY:
        yield Fault(node.place, f"A `health_check_interval` of {seconds:g} seconds is longer than a day.")
    elif not is_true(subject.config.root.get("general_settings", "background_health_checks")):
        text = "`health_check_interval` has no effect while `background_health_checks` is off."
        yield Fault(node.place, text, "Set `background_health_checks: true`, or take the interval out.")


def _each(config: Config, name: str) -> Iterator[Node]:
    """Where a setting is given: for the router, and for one deployment after the other."""
    router = config.setting(name)
    if router is not None:
        yield router
    for deployment in config.deployments:
        for settings in (deployment.params, deployment.info):
            node = settings.get(name)
            if node is not None:
                yield node


def _practically_never(name: str, node: Node) -> Iterator[Fault]:
    fails = number(node)
    if fails is not None and fails >= PRACTICALLY_NEVER:
        yield Fault(node.place, f"`{name}` allows {fails:g} failures, so that nothing is ever cooled down for them.")


def _fewest_retries(config: Config, deployments: list[Deployment]) -> tuple[float | None, Node | None]:
    """The fewest that a request to a group may have; None for the number where one of them is not in the file."""
    given = [config.retries(one) for one in deployments]
    if any(retries is None for retries, _ in given):
        return None, None
    return min(given, key=lambda one: one[0] or 0)


def patience(config: Config, *, has_total: bool = True) -> tuple[float, str]:
    """How long a caller waits for a whole answer in seconds, and by what. `total_timeout` is a setting of the router
    alone, and of those LiteLLMs that have it (`has_total`)."""
    seconds = number(config.root.get(ROUTER, "total_timeout")) if has_total else None
    if seconds is None or seconds > CLIENTS_PATIENCE:
        return CLIENTS_PATIENCE, "common clients wait"
    return seconds, "`total_timeout` allows"
