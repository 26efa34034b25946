"""What is known of a deployment's model: by model_info, else by LiteLLM's own price list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from litellm_drill.config import Deployment, is_reference, number, text_of
from litellm_drill.release import Release

CAPABILITIES = {
    "supports_function_calling": "calls functions",
    "supports_vision": "reads pictures",
    "supports_response_schema": "answers in a given JSON schema",
}
"""Those a request depends on and that LiteLLM's price list knows of most models."""

CHAT = "chat"
RESPONSES = "responses"
ANSWERS_CHATS = ("chat", "completion", RESPONSES)
"""Modes between which LiteLLM translates a request."""

NOTHING: Mapping[str, object] = {}


class Models:
    """What `release` and the config know of models."""

    def __init__(self, release: Release) -> None:
        self._release = release

    def mode(self, deployments: Iterable[Deployment]) -> str | None:
        """What a group's deployments are for, such as `chat` or `embedding`; None if they differ or none is known."""
        modes = {self._mode(deployment) for deployment in deployments}
        return modes.pop() if len(modes) == 1 else None

    def is_asked_by_responses(self, deployment: Deployment) -> bool:
        """Whether LiteLLM asks the model by /v1/responses, whatever it is asked itself: by its mode, or its name."""
        first_two = deployment.model.split("/")[:-1][:2]
        return RESPONSES in first_two or self._stated_mode(deployment) == RESPONSES

    def context_window(self, deployments: Iterable[Deployment]) -> int | None:
        """The tokens of input that each deployment of a group takes; None if that is not known of all."""
        windows = [self._window(deployment) for deployment in deployments]
        known = [window for window in windows if window is not None]
        return int(min(known)) if known and len(known) == len(windows) else None

    def can(self, capability: str, deployments: Sequence[Deployment]) -> bool | None:
        """Whether each deployment of a group is known to have a capability; False if one is known to lack it."""
        answers = [self._can(capability, deployment) for deployment in deployments]
        if False in answers:
            return False
        return True if answers and all(answers) else None

    def _mode(self, deployment: Deployment) -> str | None:
        stated = self._stated_mode(deployment)
        return CHAT if stated in ANSWERS_CHATS else None if stated is None else str(stated)

    def _stated_mode(self, deployment: Deployment) -> object:
        return text_of(deployment.info.get("mode")) or self._listed(deployment).get("mode")

    def _window(self, deployment: Deployment) -> float | None:
        stated = deployment.info.get("max_input_tokens")
        if stated is not None:
            return number(stated)
        listed = self._listed(deployment).get("max_input_tokens")
        return listed if isinstance(listed, (int, float)) else None

    def _can(self, capability: str, deployment: Deployment) -> bool | None:
        stated = deployment.info.get(capability)
        if stated is not None:
            return stated.value if isinstance(stated.value, bool) else None
        listed = self._listed(deployment)
        return bool(listed.get(capability)) if listed else None

    def _listed(self, deployment: Deployment) -> Mapping[str, object]:
        """The row of the price list: of base_model, else of the model by its whole name, or without its provider where
        the list has it as that provider's."""
        base = deployment.info.get("base_model") or deployment.params.get("base_model")
        if base is not None:
            return NOTHING if is_reference(base) else self._release.models.get(text_of(base) or "", NOTHING)
        models, (_, _, short) = self._release.models, deployment.model.partition("/")
        if deployment.model in models:
            return models[deployment.model]
        listed = models.get(short, NOTHING)
        return listed if listed.get("litellm_provider") == deployment.provider else NOTHING
