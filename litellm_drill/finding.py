"""What a rule is, what it is asked about, and what it finds."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from enum import Enum

from litellm_drill.config import Config
from litellm_drill.document import Place
from litellm_drill.models import Models
from litellm_drill.release import Release


class Severity(Enum):
    """How bad a finding is, in SARIF's words for it."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


KEY = re.compile(
    r"(?<![\w-])(?:sk-[\w-]{8,}|"
    r"(?:AKIA|ASIA|AIza|gsk_|xai-|hf_|ghp_|github_pat_|glpat-|r8_|pplx-|nvapi-|csk-|fw_)[\w-]{16,}|"
    r"(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{32,})(?![\w-])"
)
"""What may be a key, though it stands where a name does: by how providers' keys begin, or as it is long and random."""


@dataclass(frozen=True)
class Subject:
    """What the rules look at: a config, the LiteLLM that is to run it, its models, and whether a variable of the
    environment is set, by name."""

    config: Config
    release: Release
    models: Models
    is_set: Callable[[str], bool]


@dataclass(frozen=True)
class Fault:
    """What a rule has found at `place`, in one sentence; `remedy` if it knows a better one than its rule's."""

    place: Place
    text: str
    remedy: str = ""


@dataclass(frozen=True)
class Rule:
    """A rule: its stable `id`, how bad it is, `what` it looks for and the `remedy`, a sentence each."""

    id: str
    severity: Severity
    what: str
    remedy: str
    check: Callable[[Subject], Iterable[Fault]]


@dataclass(frozen=True)
class Finding:
    """A fault with the rule that found it, as it is reported."""

    rule: Rule
    place: Place
    text: str
    remedy: str


def findings(subject: Subject, rules: Iterable[Rule]) -> list[Finding]:
    """What `rules` find, by file and line."""
    found = [
        Finding(rule, fault.place, KEY.sub("…", fault.text), KEY.sub("…", fault.remedy or rule.remedy))
        for rule in rules
        for fault in rule.check(subject)
    ]
    return sorted(found, key=lambda one: (one.place.file, one.place.line, one.rule.id, one.text))


def nearest(name: str, known: Iterable[str], likeness: float = 0.75) -> str | None:
    """The one of `known` that `name` may have been meant for, if any is that much alike, from 0 to 1."""
    return next(iter(get_close_matches(name, sorted(known), n=1, cutoff=likeness)), None)


def joined(names: Iterable[str]) -> str:
    """Names in quotes, as a sentence lists them."""
    return ", ".join(f'"{name}"' for name in names)
