"""What LiteLLM tells its callbacks of the requests of one test, noted by a callback."""

from __future__ import annotations

from typing import Any, TypeVar

import litellm
import pytest
from litellm.integrations.custom_logger import CustomLogger

Log = TypeVar("Log", bound=CustomLogger)
Events = list[tuple[dict[str, Any], Any]]
"""The arguments of each event, as they are then, since LiteLLM goes on writing, and the answer."""


class CallbackLog(CustomLogger):
    """Notes the events of a `group`; what LiteLLM still logs of another test's requests is told by that."""

    def __init__(self, group: str) -> None:
        super().__init__()
        self.group = group
        self.successes: Events = []
        self.failures: Events = []

    async def async_log_success_event(self, kwargs: Any, response_obj: Any, *_: Any, **__: Any) -> None:
        self.note(self.successes, kwargs, response_obj)

    async def async_log_failure_event(self, kwargs: Any, response_obj: Any, *_: Any, **__: Any) -> None:
        self.note(self.failures, kwargs, response_obj)

    def note(self, events: Events, kwargs: Any, response: Any) -> None:
        if kwargs["standard_logging_object"]["model_group"] == self.group:
            events.append(({**kwargs}, response))


def listening(monkeypatch: pytest.MonkeyPatch, log: Log) -> Log:
    """`log`, as LiteLLM's only callback."""
    monkeypatch.setattr(litellm, "callbacks", [log])
    return log


def deployments_of(events: Events) -> list[str]:
    """The ids of the deployments that events are about."""
    return [kwargs["standard_logging_object"]["model_id"] for kwargs, _ in events]
