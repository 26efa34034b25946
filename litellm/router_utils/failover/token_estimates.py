"""How many tokens a text may have cost, where nobody has said so."""

import litellm


def estimated_tokens(model: str, *, text: str | None = None, messages: object = None) -> int:
    """The tokens of a text, or else of the messages of a chat; 0 for what LiteLLM cannot count."""
    try:
        if text is not None:
            return litellm.token_counter(model=model, text=text) if text else 0
        return litellm.token_counter(model=model, messages=messages)  # type: ignore[arg-type]  # the caller's own
    except Exception:  # an estimate must not take the second answer from the caller
        return 0
