"""
Closes a provider's connection when nobody reads on, which LiteLLM does by itself since 1.103.
"""

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # which imports this module
    from litellm.llms.custom_httpx.aiohttp_transport import AiohttpResponseStream


def close_when_abandoned(
    aiter: Callable[["AiohttpResponseStream"], AsyncIterator[bytes]],
) -> Callable[["AiohttpResponseStream"], AsyncIterator[bytes]]:
    """Wrap `AiohttpResponseStream.__aiter__`, which reads a provider's answer: the connection is closed when nobody
    reads on. It would stay open, and the model would go on, for as long as anything remembers the answer."""

    @functools.wraps(aiter)
    async def __aiter__(self: "AiohttpResponseStream") -> AsyncIterator[bytes]:
        try:
            async for chunk in aiter(self):
                yield chunk
        except (GeneratorExit, asyncio.CancelledError):
            self._aiohttp_response.close()
            raise

    return __aiter__
