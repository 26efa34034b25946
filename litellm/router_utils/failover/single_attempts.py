"""
Retries what the router makes one attempt of, and lets it fall back, as it does with every other kind of request.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Final, Protocol, TypeVar

import litellm
from litellm.router_utils.failover.router_view import Deployment, Router
from litellm.types.llms.openai import HttpxBinaryResponseContent

Result = TypeVar("Result")


class _Router(Router, Protocol):
    """The methods by which a router makes attempts at a request of any kind."""

    async def async_function_with_fallbacks(
        self, *, original_function: Callable[..., Awaitable[Result]], **kwargs: object
    ) -> Result: ...

    async def async_get_available_deployment(self, **kwargs: object) -> Deployment: ...

    def _get_async_openai_model_client(self, deployment: Deployment, kwargs: dict[str, object]) -> object: ...

    def _update_kwargs_before_fallbacks(self, model: str, kwargs: dict[str, object]) -> None: ...

    def _update_kwargs_with_deployment(self, deployment: Deployment, kwargs: dict[str, object]) -> None: ...


def retry_moderations(moderate: Callable[..., Awaitable[Result]]) -> Callable[..., Awaitable[Result]]:
    """Wrap `Router._pass_through_moderation_endpoint_factory`, which chooses one deployment and asks it: that becomes
    one attempt of a request. A model that is no group of the router's is asked for as before."""

    @functools.wraps(moderate)
    async def _pass_through_moderation_endpoint_factory(
        self: _Router, original_function: object, *args: object, **kwargs: object
    ) -> Result:
        group = kwargs.get("model")
        if not isinstance(group, str) or not group or not self.get_model_list(model_name=group):
            return await moderate(self, original_function, *args, **kwargs)

        async def amoderation(**attempt: object) -> Result:  # the name tells the policy that any deployment will do
            return await moderate(self, original_function, *args, **attempt)

        self._update_kwargs_before_fallbacks(model=group, kwargs=kwargs)
        return await self.async_function_with_fallbacks(**kwargs, original_function=amoderation)

    return _pass_through_moderation_endpoint_factory


def retry_speech(speak: Callable[..., Awaitable[object]]) -> Callable[..., Awaitable[HttpxBinaryResponseContent]]:
    """Wrap `Router.aspeech` of a release in which it asks one deployment, and notes neither which nor that it failed:
    it makes attempts as a transcription does."""

    @functools.wraps(speak)
    async def aspeech(
        self: _Router, model: str, input: str, voice: str | None = None, **kwargs: object
    ) -> HttpxBinaryResponseContent:
        async def _aspeech(*, model: str, voice: str | None, **attempt: object) -> HttpxBinaryResponseContent:
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
            spoken: Final[HttpxBinaryResponseContent] = await litellm.aspeech(
                **{**params, **voices, "client": client, **attempt}
            )
            return spoken

        self._update_kwargs_before_fallbacks(model=model, kwargs=kwargs)
        return await self.async_function_with_fallbacks(
            **kwargs, model=model, input=input, voice=voice, original_function=_aspeech
        )

    return aspeech
