"""
Finds a model group, and its fallbacks, under each of the names it has: a team's model has a public name and LiteLLM's
own, a request for an auto router becomes one for a tier, a pattern stands for many names, and there are aliases and
ids. LiteLLM goes by the name a request came with alone.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from litellm.router_utils.failover.retry_state import Routed, current_turn
from litellm.router_utils.failover.router_view import (
    Deployment,
    Request,
    Router,
    is_pattern,
    router_setting,
    tier_comes_first,
)

Fallbacks = Any  # any-ok: three formats of LiteLLM's, each as the user has written it

FALLBACK_LISTS: Final = ("fallbacks", "context_window_fallbacks", "content_policy_fallbacks")


def group_of_alias(aliases: object, name: object) -> str | None:
    """The group that `name` is an alias of, in either format of `model_group_alias`; None if it is none."""
    target: Final = aliases.get(name) if isinstance(aliases, Mapping) else None
    group: Final = target.get("model") if isinstance(target, Mapping) else target
    return group if isinstance(group, str) else None


def by_alias(aliases: object, name: str, fallbacks: Fallbacks) -> Fallbacks:
    """`fallbacks`, in any format LiteLLM takes, with those of the group that `name` is an alias of under that name too,
    unless it has some of its own."""
    group: Final = group_of_alias(aliases, name)
    return fallbacks if group is None else _under_name(name, [group], fallbacks)


def by_any_name(router: Router, name: str, fallbacks: Fallbacks, routed: Routed | None) -> Fallbacks:
    """`fallbacks`, in any format LiteLLM takes, with those of a group, whichever of its names they stand under, under
    the one that was asked for; `routed` is what the router has made of that, None if it has not looked it up."""
    if not fallbacks:
        return fallbacks
    first: Final = [routed.group] if routed is not None and tier_comes_first() else []
    return _under_name(name, names_of(router, name, routed), fallbacks, first)


def _under_name(name: str, others: Iterable[str], fallbacks: Fallbacks, first: Sequence[str] = ()) -> Fallbacks:
    """`fallbacks` with those of a group under `name`, if they stand under one of its `others` only; those of the names
    that come `first` go before its own."""
    if not isinstance(fallbacks, list) or not all(isinstance(one, Mapping) for one in fallbacks):
        return fallbacks
    known: Final = {next(iter(one)): one for one in reversed(fallbacks) if len(one) == 1}
    preferred: Final = next((other for other in first if other in known and other != name), None)
    if preferred is not None:
        return [{name: known[preferred][preferred]}, *fallbacks]
    if any(name in one for one in fallbacks):
        return fallbacks
    other: Final = next((other for other in others if other in known), None)
    return fallbacks if other is None else [*fallbacks, {name: known[other][other]}]


def names_of(router: Router, name: str, routed: Routed | None) -> list[str]:
    """The names of a group, first the one that was asked for; `routed` is what the router has made of that."""
    aliases: Final = router_setting(router, "model_group_alias")
    looked_up: Final = name if routed is None else routed.group
    resolved: Final = (group_of_alias(aliases, name), looked_up, group_of_alias(aliases, looked_up))
    listed: Final = () if routed is None else _names_in(routed.deployments, name)
    return list(dict.fromkeys([name, *filter(None, resolved), *listed]))


def _names_in(deployments: Sequence[Deployment], asked_for: str) -> Iterator[str]:
    """The names of a team's model, the caller's and LiteLLM's own, and those of a model that a pattern stands for."""
    for deployment in deployments:
        name = str(deployment["model_name"])
        public = team_name_of(deployment)
        if is_pattern(deployment):
            provider, _, rest = name.partition("/")
            if rest and "/" not in asked_for:
                yield f"{provider}/{asked_for}"
            yield name
        if public:
            yield from (public, name)


def routed_as(name: object) -> Routed | None:
    """What the router has made of `name` for the request under way, None if the request is not at that group."""
    turn: Final = current_turn()
    return turn.routed if turn is not None and turn.group == name else None


def deployments_by(router: Router, name: str, team_id: str | None) -> Sequence[Deployment]:
    """The deployments that a request of a team, or of none, is led to by `name`: a group's, a pattern's, a team's own,
    or the one that has it as its id."""
    aliases: Final = router_setting(router, "model_group_alias")
    group: Final = group_of_alias(aliases, name) or name  # LiteLLM lists no hidden alias
    found: Final = router.get_model_list(model_name=group, team_id=team_id)
    if found:
        return found
    one: Final = router.get_model_info(id=name)
    return [one] if one else []


def team_of(request: Request) -> str | None:
    """The id of the team whose key a request to the proxy came with."""
    buckets: Final = (request.get(name) for name in ("metadata", "litellm_metadata"))
    found: Final = (one.get("user_api_key_team_id") for one in buckets if isinstance(one, Mapping))
    return next((one for one in found if isinstance(one, str)), None)


def team_name_of(deployment: Deployment) -> str | None:
    """The name that a team has for its own model, None if the deployment is no team's."""
    name: Final = (deployment.get("model_info") or {}).get("team_public_model_name")
    return None if name is None else str(name)
