"""The recipes in docs/recipes: each is started as it is, and answers while what it is meant to survive happens."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from proxy.routes import ask, callers, comes_true
from support.faulty_provider import FAULTS, HEALTHY, FaultyProvider
from support.gateway import Gateway

RECIPES = Path(__file__).parents[2] / "docs" / "recipes"

PLACES: dict[str, dict[str, str]] = {
    "same-group-failover": {"FIRST_API_BASE": "/v1", "SECOND_API_BASE": "/v1"},
    "provider-fallback": {"OPENAI_BASE_URL": "/v1", "ANTHROPIC_API_BASE": ""},
    "default-fallback": {"OPENAI_BASE_URL": "/v1", "ANTHROPIC_API_BASE": "", "SPARE_API_BASE": "/v1"},
    "self-hosted-pool": {"VLLM_API_BASE": "/v1", "FIRST_OLLAMA_API_BASE": "", "SECOND_OLLAMA_API_BASE": ""},
}
"""The variables by which each recipe's providers are found, and the path that follows a provider's host there."""


class Kitchen(NamedTuple):
    """A recipe at work, and its providers by the variable they are found by."""

    gateway: Gateway
    providers: dict[str, FaultyProvider]

    def ask(self, group: str) -> int:
        """The status of the answer to one request."""
        return ask(self.gateway, group).status_code


@contextmanager
def cooked(recipe: str, folder: Path) -> Iterator[Kitchen]:
    file = RECIPES / f"{recipe}.yaml"
    keys = dict.fromkeys(re.findall(r"os\.environ/(\w+_KEY)", file.read_text()), "sk-test")
    with ExitStack() as stack:
        providers = {place: stack.enter_context(FaultyProvider()) for place in PLACES[recipe]}
        urls = {place: providers[place].url + path for place, path in PLACES[recipe].items()}
        yield Kitchen(stack.enter_context(Gateway(file, folder, **keys, **urls)), providers)


def test_each_recipe_is_tried() -> None:
    """Each recipe in the folder is tried by a test."""
    assert {file.stem for file in RECIPES.glob("*.yaml")} == set(PLACES)


@pytest.mark.parametrize(
    ("recipe", "group", "place", "fault"),
    [
        ("same-group-failover", "llama", "FIRST_API_BASE", "refused"),
        ("same-group-failover", "llama", "SECOND_API_BASE", "401"),
        ("provider-fallback", "gpt", "OPENAI_BASE_URL", "429"),
        ("provider-fallback", "gpt", "OPENAI_BASE_URL", "402"),
        ("default-fallback", "fast", "OPENAI_BASE_URL", "429"),
        ("default-fallback", "smart", "ANTHROPIC_API_BASE", "529"),
    ],
)
def test_recipe_survives_provider_outage(recipe: str, group: str, place: str, fault: str, tmp_path: Path) -> None:
    """Every request is answered while a provider is down, which is asked once at the most."""
    with cooked(recipe, tmp_path) as kitchen:
        broken = kitchen.providers[place]
        assert comes_true(lambda: kitchen.ask(group) == 200 and broken.answered > 0)
        broken.fault, asked = FAULTS[fault], broken.attempts
        assert [kitchen.ask(group) for _ in range(12)] == [200] * 12
        assert broken.attempts - asked <= 1


def test_pool_uses_recovered_machines(tmp_path: Path) -> None:
    """A pool needs one machine, and uses those that are back long before their cooldown is over."""
    with cooked("self-hosted-pool", tmp_path) as kitchen:

        def is_used(machine: FaultyProvider) -> bool:
            before = callers(machine)
            return kitchen.ask("qwen") == 200 and callers(machine) > before

        machines = list(kitchen.providers.values())
        for up in (*machines, machines[0]):
            for machine in machines:
                machine.fault = HEALTHY if machine is up else FAULTS["refused"]
            assert comes_true(functools.partial(is_used, up))
            assert [kitchen.ask("qwen") for _ in range(12)] == [200] * 12
