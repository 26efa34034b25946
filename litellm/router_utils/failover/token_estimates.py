"""How many tokens a text may have cost, and what these are worth, where nobody has said so."""

from collections.abc import Mapping
from typing import Any, Final

import litellm

_PRICES: Final = ("input_cost_per_token", "output_cost_per_token")


def estimated_tokens(model: str, *, text: str | None = None, messages: object = None) -> int:
    """The tokens of a text, or else of the messages of a chat; 0 for what LiteLLM cannot count."""
    try:
        if text is not None:
            return litellm.token_counter(model=model, text=text) if text else 0
        return litellm.token_counter(model=model, messages=messages)  # type: ignore[arg-type]  # the caller's own
    except Exception:  # an estimate must not take the second answer from the caller
        return 0


def estimated_cost(
    deployment: Mapping[str, Any],  # any-ok: as a router has it
    read: int,
    said: int,
    cached: tuple[int, int] = (0, 0),
) -> float:
    """What tokens of a deployment's model cost in US dollars, by the user's prices or LiteLLM's table; 0 if neither
    knows. Of those `read`, the `cached` have been written to a prompt's cache, and come out of it, which the table has
    prices for."""
    info: Final = deployment.get("model_info") or {}
    params: Final = deployment.get("litellm_params") or {}
    own: Final = [info.get(name) if params.get(name) is None else params[name] for name in _PRICES]
    if any(price is not None for price in own):
        return float((own[0] or 0) * read + (own[1] or 0) * said)
    model: Final = info.get("base_model") or params.get("base_model") or params.get("model")
    written, found = cached
    try:
        costs: Final = litellm.cost_per_token(
            model=str(model),
            prompt_tokens=read,
            completion_tokens=said,
            cache_creation_input_tokens=written,
            cache_read_input_tokens=found,
        )
        return float(sum(costs))
    except Exception:  # a model that LiteLLM does not know
        return 0.0
