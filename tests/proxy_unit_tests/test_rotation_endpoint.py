"""Who may see which deployments are left alone, and what of."""

from __future__ import annotations

import pytest
from fastapi import APIRouter, FastAPI, HTTPException
from litellm.proxy._types import LitellmUserRoles, UserAPIKeyAuth
from litellm.proxy.health_check_utils.rotation_endpoint import add_rotation_route, shown_to

from support.routing import GROUP, deployment, routed

NOWHERE = "http://127.0.0.1:9"


def key(role: LitellmUserRoles | None) -> UserAPIKeyAuth:
    return UserAPIKeyAuth(api_key="sk-any", user_role=role)


ADMINISTRATOR = key(LitellmUserRoles.PROXY_ADMIN)


@pytest.mark.parametrize("role", [None, *LitellmUserRoles])
def test_only_administrators_see_it(role: LitellmUserRoles | None) -> None:
    """An administrator sees it, also one that may change nothing; nobody else does, whatever there is to see."""
    if role is not None and role.value in ("proxy_admin", "proxy_admin_viewer"):
        assert shown_to(key(role), None, None) == {"deployments": []}
        return
    with pytest.raises(HTTPException) as refused:
        shown_to(key(role), None, None)
    assert refused.value.status_code == 403


def test_group_or_all_are_shown() -> None:
    """All deployments without a name, those of a group with its name, and a 404 for one that there is none of."""
    models = [deployment(name, "openai", NOWHERE, group=of) for name, of in (("a", GROUP), ("b", "other"))]
    with routed(models) as router:
        for model, names in ((None, ["a", "b"]), ("other", ["b"])):
            shown = shown_to(ADMINISTRATOR, router, model)["deployments"]
            assert [row["model_id"] for row in shown] == names
        with pytest.raises(HTTPException) as refused:
            shown_to(ADMINISTRATOR, router, "grup")
    assert refused.value.status_code == 404
    assert "'grup'" in refused.value.detail


def test_route_asks_who_it_is() -> None:
    """The route is there, and its caller is authenticated by what it is given."""
    routes = APIRouter()
    add_rotation_route(routes, lambda: ADMINISTRATOR)
    app = FastAPI()
    app.include_router(routes)
    (path,) = [path for path in app.openapi()["paths"] if "rotation" in path]
    assert path == "/health/rotation"
    (route,) = routes.routes
    assert [one.call() for one in route.dependant.dependencies] == [ADMINISTRATOR]  # type: ignore[attr-defined]
