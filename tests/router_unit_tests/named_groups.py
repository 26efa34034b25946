"""Groups that have several names: an alias, a team's model, the tier of an auto router, a pattern."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from support.faulty_provider import HEALTHY, Fault, FaultyProvider
from support.routing import GROUP, RELEASE, deployment, routed

ALIAS = "the-alias"
FALLBACK = "the-fallback"
TEAM = "team-1"
INTERNAL = "model_name_team-1_1"
AUTO = "the-auto-router"
OF_TEAM: dict[str, Any] = {"metadata": {"user_api_key_team_id": TEAM}}
SETTINGS: dict[str, Any] = {"num_retries": 2, "cooldown_time": 60}
FINDS_TEAMS = RELEASE >= (1, 84)
"""Before, the proxy gives the router the internal name of a team's model."""

# The name of a request and what comes with it; the router's group or groups; the group's other name.
ASKED_FOR: dict[str, dict[str, Any]] = {
    "alias": {"model": ALIAS},
    "hidden alias": {"model": ALIAS},
    "internal name": {"model": INTERNAL, **OF_TEAM},
    "public name": {"model": GROUP if FINDS_TEAMS else INTERNAL, **OF_TEAM},
    "auto router": {"model": AUTO},
    "alias of an auto router": {"model": ALIAS},
    "pattern": {"model": "openai/gpt-x"},
    "provider": {"model": "gpt-4o-mini"},
}
OTHER_NAMES = {"public name": INTERNAL, "pattern": "openai/*", "provider": "openai/gpt-4o-mini"}
ALIAS_OF = {"alias": GROUP, "hidden alias": {"model": GROUP, "hidden": True}, "alias of an auto router": AUTO}
NEVER_COOLED_DOWN = ("pattern", "provider")
"""LiteLLM cools no deployment down that stands for a pattern of names."""

if RELEASE < (1, 103):  # before, LiteLLM looks auto routers up by their own name
    del ASKED_FOR["alias of an auto router"]


def named(kind: str, number: int, url: str) -> dict[str, Any]:
    """A deployment of the group that a request of this kind asks for, by one of its names."""
    one = deployment("ab"[number], "openai", url)
    if kind in ("internal name", "public name"):
        one["model_name"] = f"model_name_{TEAM}_{number + 1}"
        one["model_info"].update(team_id=TEAM, team_public_model_name=GROUP)
    if kind in NEVER_COOLED_DOWN:
        one["model_name"] = one["litellm_params"]["model"] = "openai/*"
    return one


def auto_router(tier: str) -> dict[str, Any]:
    """One that chooses `tier` for every request."""
    tiers = dict.fromkeys(("SIMPLE", "MEDIUM", "COMPLEX", "REASONING"), tier)
    params = {"model": "auto_router/complexity_router", "complexity_router_config": {"tiers": tiers}}
    return {
        "model_name": AUTO,
        "litellm_params": {**params, "complexity_router_default_model": tier},
        "model_info": {"id": "auto"},
    }


@contextmanager
def router_of(kind: str, fault: Fault, *, count: int, **settings: Any) -> Iterator[tuple[Any, Any, Any]]:
    """A router over a group that has the name of this kind, of which the first of `count` deployments has `fault`, and
    a fallback group, if the group is lone; with the provider of the first and of the last."""
    with FaultyProvider(fault) as bad, FaultyProvider(HEALTHY) as good:
        group = [named(kind, 0, bad.url)]
        group.append(named(kind, 1, good.url) if count == 2 else deployment("z", "openai", good.url, group=FALLBACK))
        group += [auto_router(GROUP)] if "auto" in kind else []
        aliases = {ALIAS: ALIAS_OF[kind]} if kind in ALIAS_OF else {}
        with routed(group, **{**SETTINGS, "model_group_alias": aliases, **settings}) as router:
            yield router, bad, good


def asked(kind: str) -> dict[str, Any]:
    """The parameters of a request of this kind, for it alone: LiteLLM writes into the metadata."""
    return {name: dict(value) if isinstance(value, dict) else value for name, value in ASKED_FOR[kind].items()}
