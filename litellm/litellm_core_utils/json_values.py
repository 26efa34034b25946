"""
Reads JSON that a provider has sent, and so may be anything or none. Nothing here raises.
"""

import json
from typing import Final

JsonObject = dict[str, object]
"""As a decoder makes it; asking for the abstract class costs three times as much, for each part of each answer."""

NOT_JSON: Final = object()
"""For `decoded_json`, where a text that is no JSON is to be told from `null`."""


def decoded_json(text: str | bytes, otherwise: object = None) -> object:
    """What a JSON text holds; `otherwise` if it is none, or is nested deeper than Python can read."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return otherwise


def json_object(value: object) -> JsonObject:
    """A decoded value that is an object, an empty one for any other."""
    return value if isinstance(value, dict) else {}


def json_array(value: object) -> list[object]:
    """A decoded value that is an array, an empty one for any other."""
    return value if isinstance(value, list) else []
