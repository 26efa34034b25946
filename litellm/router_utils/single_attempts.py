"""
Retries what the router makes one attempt of, and lets it fall back, as it does with every other kind of request.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Any, Final

import litellm


def retrying_moderations(moderate: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap `Router._pass_through_moderation_endpoint_factory`, which chooses one deployment and asks it: that becomes
    one attempt of a request. A model that is no group of the router's is asked for as before."""

    @functools.wraps(moderate)
    async def _pass_through_moderation_endpoint_factory(
        self: Any, original_function: Callable[..., Awaitable[Any]], *args: Any, **kwargs: Any
    ) -> Any:
        group = kwargs.get("model")
        if not group or not self.get_model_list(model_name=group):
            return await moderate(self, original_function, *args, **kwargs)

        async def amoderation(**attempt: Any) -> Any:  # the name tells the policy that any deployment will do
            return await moderate(self, original_function, *args, **attempt)

        self._update_kwargs_before_fallbacks(model=group, kwargs=kwargs)
        return await self.async_function_with_fallbacks(**kwargs, original_function=amoderation)

    return _pass_through_moderation_endpoint_factory


def retrying_speech(speak: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    """Wrap `Router.aspeech` of a release in which it asks one deployment, and notes neither which nor that it failed:
    it makes attempts as a transcription does."""

    @functools.wraps(speak)
    async def aspeech(self: Any, model: str, input: str, voice: str | None = None, **kwargs: Any) -> Any:
        async def _aspeech(*, model: str, voice: str | None, **attempt: Any) -> Any:
            deployment: Final = await self.async_get_available_deployment(
                model=model,
                messages=[{"role": "user", "content": "prompt"}],
                specific_deployment=attempt.pop("specific_deployment", None),
                request_kwargs=attempt,
            )
            self._update_kwargs_with_deployment(deployment=deployment, kwargs=attempt)
            params: Final = deployment["litellm_params"]
            client: Final = self._get_async_openai_model_client(deployment=deployment, kwargs=attempt)
            voices: Final = {"voice": params.get("voice") if voice is None else voice}
            return await litellm.aspeech(**{**params, **voices, "client": client, **attempt})

        self._update_kwargs_before_fallbacks(model=model, kwargs=kwargs)
        return await self.async_function_with_fallbacks(
            **kwargs, model=model, input=input, voice=voice, original_function=_aspeech
        )

    return aspeech
