"""
Where an administrator sees which deployments the proxy's router leaves alone, until when and why.
"""

from collections.abc import Callable
from typing import Annotated, Final

from fastapi import APIRouter, Depends, HTTPException
from litellm.proxy._types import LitellmUserRoles, UserAPIKeyAuth
from litellm.router_utils.failover.rotation_state import DeploymentState, get_rotation_state
from litellm.router_utils.failover.router_view import Router

ADMINISTRATORS: Final = (LitellmUserRoles.PROXY_ADMIN, LitellmUserRoles.PROXY_ADMIN_VIEW_ONLY)


def add_rotation_route(routes: APIRouter, authenticate: Callable[..., object]) -> None:
    """Add GET /health/rotation to `routes`; `authenticate` is the dependency that gives the caller's key."""

    @routes.get("/health/rotation", tags=["health"])
    async def health_rotation_endpoint(
        key: Annotated[UserAPIKeyAuth, Depends(authenticate)], model: str | None = None
    ) -> dict[str, list[DeploymentState]]:
        """Which deployments are in rotation, and which are not, until when and why: of the group `model`, or of all.
        For the proxy's administrators; a group that does not exist is a 404."""
        from litellm.proxy import proxy_server

        return shown_to(key, proxy_server.llm_router, model)


def shown_to(key: UserAPIKeyAuth, router: Router | None, model: str | None) -> dict[str, list[DeploymentState]]:
    """What the owner of `key` sees of the group `model`, of all groups without it; nothing where there is no router.

    Raises:
        HTTPException: 403 for the key of no administrator, 404 where the router has no such group.
    """
    if key.user_role not in ADMINISTRATORS:
        raise HTTPException(status_code=403, detail="Only an administrator's key may see /health/rotation.")
    if router is None:
        return {"deployments": []}
    try:
        return {"deployments": get_rotation_state(router, model)}
    except ValueError as error:
        raise HTTPException(status_code=404, detail=str(error)) from None
