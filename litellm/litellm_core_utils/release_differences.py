"""
What LiteLLM's core has in some releases only: no other module below the router looks which one it runs on. In LiteLLM's
own repository this module is not needed.
"""

import asyncio
import functools
import importlib
import threading
from typing import TYPE_CHECKING, Final

from litellm import exceptions

if TYPE_CHECKING:  # which imports much of LiteLLM
    from litellm.litellm_core_utils.litellm_logging import Logging

HAS_PAYMENT_REQUIRED: Final = hasattr(exceptions, "PaymentRequiredError")
"""Since 1.106 a 402 has a class of its own."""

PAYMENT_REQUIRED_CLASS: Final[type[Exception]] = getattr(exceptions, "PaymentRequiredError", exceptions.BadRequestError)


_MESSAGES: Final = "litellm.llms.anthropic.experimental_pass_through.messages.streaming_iterator"


@functools.cache
def logs_broken_messages() -> bool:
    """Whether LiteLLM logs a stream of /v1/messages that breaks off as a failed call: since 1.102."""
    try:
        module: Final = importlib.import_module(_MESSAGES)
    except ImportError:  # it is elsewhere since 1.106
        return True
    return hasattr(module.BaseAnthropicMessagesStreamingIterator, "_pump_upstream_to_queue")


def log_async_failure(logging: "Logging", error: Exception, trace: str) -> None:
    """Tell the callbacks of an asynchronous call that it has failed; `trace` is the traceback's text. Releases such as
    1.82.6 have a function for each kind of callback."""
    if hasattr(logging, "dispatch_failure_handlers"):
        asyncio.create_task(logging.dispatch_failure_handlers(error, trace, prefer_async_handlers=True))
        return
    threading.Thread(target=logging.failure_handler, args=(error, trace)).start()
    asyncio.create_task(logging.async_failure_handler(error, trace))


def price_of(logging: "Logging", response: object) -> float | None:
    """What an answer costs in US dollars, None if LiteLLM knows no price. The method is private in releases such as
    1.82.6."""
    calculate: Final = getattr(logging, "response_cost_calculator", None) or logging._response_cost_calculator
    price: Final[float | None] = calculate(result=response)
    return price
