"""Which deployments share a host or a region, however a config says where they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drill.configs import run, written

CREDENTIALS = """\
credential_list:
  - {credential_name: east, credential_values: {api_base: "https://east.example.com", aws_region_name: us-east-1}}
  - {credential_name: west, credential_values: {api_base: "https://west.example.com", aws_region_name: us-east-1}}
"""
KEYS = "api_key: os.environ/ONE", "api_key: os.environ/TWO"
VERTEX = "model: vertex_ai/gemini-2.5-pro, vertex_location"


def texts(folder: Path, one: str, two: str, settings: str = "num_retries: 2") -> list[str]:
    """What is found of a group of two deployments with these parameters."""
    deployments = "".join(
        f"  - {{model_name: g, litellm_params: {{{params}, timeout: 30}}}}\n" for params in (one, two)
    )
    text = f"model_list:\n{deployments}{CREDENTIALS}router_settings: {{{settings}}}\n"
    result = run("--format", "json", written(folder, text), variables=["ONE", "TWO"])
    return [row["text"].removeprefix('All deployments of "g" ') for row in json.loads(result.stdout)]


@pytest.mark.parametrize(
    ("one", "two"),
    [
        ("model: bedrock/us-east-1/anthropic.claude-v2", "model: bedrock/us-west-2/anthropic.claude-v2"),
        ('model: "bedrock/us.amazon.nova-lite-v1:0"', 'model: "bedrock/eu.amazon.nova-lite-v1:0"'),
        (
            'model: "bedrock/arn:aws:bedrock:us-west-2:1:application-inference-profile/a"',
            'model: "bedrock/arn:aws:bedrock:eu-west-1:1:application-inference-profile/b"',
        ),
        (
            "model: azure/gpt-4o, litellm_credential_name: east",
            "model: azure/gpt-4o, litellm_credential_name: west",
        ),
        ("model: azure/gpt-4o, litellm_credential_name: in-db", "model: azure/gpt-4o, litellm_credential_name: two"),
        (f"{VERTEX}: global, vertex_project: one", f"{VERTEX}: global, vertex_project: two"),
        ("model: openai/gpt-4o", 'model: openai/gpt-4o, api_base: "https://eu.api.openai.com/v1"'),
    ],
)
def test_two_places_are_no_one_endpoint(tmp_path: Path, one: str, two: str) -> None:
    """A region in a model's name, and a host among the credentials, count as those of a deployment."""
    assert texts(tmp_path, one, two) == []


@pytest.mark.parametrize(
    ("one", "two", "text"),
    [
        ("model: gpt-4o", "model: gpt-4o-mini", "are on one host."),
        (f"model: openai/o3, {KEYS[0]}", f"model: gpt-4o, {KEYS[1]}", "are on one host."),
        (
            f"model: openai/o3, {KEYS[0]}",
            f'model: openai/o3, {KEYS[1]}, api_base: "https://api.openai.com/v1"',
            "are on one host.",
        ),
        (
            'model: openai/o3, api_base: "https://h.example:443/v1"',
            'model: openai/o3, api_base: "https://h.example/v1"',
            "are on one host.",
        ),
        (
            "model: bedrock/us-east-1/anthropic.claude-v2",
            "model: bedrock/anthropic.claude-v2, aws_region_name: us-east-1",
            "are in one region.",
        ),
        (
            "model: azure/gpt-4o, litellm_credential_name: east",
            'model: azure/o3, api_base: "https://east.example.com"',
            "are on one host.",
        ),
    ],
)
def test_one_endpoint_is_found_however_written(tmp_path: Path, one: str, two: str, text: str) -> None:
    """One place in two spellings is one place."""
    assert texts(tmp_path, one, two) == [text]
