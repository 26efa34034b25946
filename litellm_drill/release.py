"""What the installed LiteLLM knows: the names of settings, and each model's mode, context window and capabilities.

Read from its files, as text and JSON; nothing of LiteLLM is imported.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache, cached_property
from importlib.util import find_spec
from pathlib import Path

from litellm_drill.document import ConfigError

PRICES = "model_prices_and_context_window_backup.json"
ROUTERS = ("router.py", "router_python_core.py")
"""Where Router's parameters are: in 1.109 it passes them on to a core, which has the names."""

PARAMETERS = ("CredentialLiteLLMParams", "GenericLiteLLMParams", "LiteLLM_Params", "LiteLLMParamsTypedDict")
"""The classes that hold a deployment's own settings; it can also have a provider's, which no list is of."""

SECTIONS = ("model_list", "litellm_settings", "general_settings", "router_settings", "environment_variables", "include")
"""Top-level keys that every release has; the others are found where the proxy asks for them."""

IN_MODEL_INFO = ("access_groups", "mode", "health_check_model", "health_check_timeout")
"""What every release reads of model_info without a list of it."""

IN_GENERAL_SETTINGS = ("completion_model", "database_url", "master_key")
"""Settings that every release has and that some read by other means than by name from their section."""

CALLED = {"general_settings": rb"(?:_?general_setting\w*|(?:proxy_)?settings)"}
"""What LiteLLM's modules call a section beside its own name, as a pattern."""


class Release:
    """The LiteLLM whose package is the folder `package`."""

    def __init__(self, package: Path) -> None:
        self.package = package

    @cached_property
    def router_settings(self) -> frozenset[str]:
        """The parameters of Router: LiteLLM itself ignores any other name in `router_settings`."""
        sources = [self._source(name) for name in ROUTERS if (self.package / name).exists()]
        wanted = [
            function
            for source in sources
            for function in ast.walk(ast.parse(source))
            if isinstance(function, ast.FunctionDef) and function.name in ("__init__", "_router_init")
        ]
        names = (argument.arg for function in wanted for argument in (*function.args.args, *function.args.kwonlyargs))
        return frozenset(names) - {"self"}

    @cached_property
    def litellm_settings(self) -> frozenset[str]:
        """What litellm has as a variable, and what the proxy reads from this section by name."""
        variables = _bound(self._source("__init__.py"))
        named = re.findall(r"\bkey == \"(\w+)\"", self._proxy)
        return frozenset([*variables, *named, *_asked_for("litellm_settings", self._proxy)])

    @cached_property
    def general_settings(self) -> frozenset[str]:
        """The fields that are documented for this section, and what the proxy reads from it by name."""
        fields = _fields("ConfigGeneralSettings", self._source("proxy/_types.py"))
        return frozenset([*fields, *_asked_for("general_settings", self._proxy), *IN_GENERAL_SETTINGS])

    @cached_property
    def sections(self) -> frozenset[str]:
        """The top-level keys of a config."""
        return frozenset([*SECTIONS, *_asked_for("config", self._proxy)])

    @cached_property
    def parameters(self) -> frozenset[str]:
        """The settings of one deployment, `litellm_params`, but for what is its provider's own."""
        source = self._source("types/router.py")
        return frozenset(name for title in PARAMETERS for name in _fields(title, source))

    @cached_property
    def model_info(self) -> frozenset[str]:
        """What model_info may say of a deployment: its own fields, and whatever the price list says of any model."""
        own = (*_fields("ModelInfo", self._source("types/router.py")), *IN_MODEL_INFO)
        return frozenset([*own, *(name for row in self.models.values() for name in row)])

    @cached_property
    def retry_policy(self) -> frozenset[str]:
        """The kinds of failure that a retry policy has a number for."""
        return frozenset(_fields("RetryPolicy", self._source("types/router.py")))

    @cached_property
    def allowed_fails_policy(self) -> frozenset[str]:
        """The kinds of failure of which a number may be allowed."""
        return frozenset(_fields("AllowedFailsPolicy", self._source("types/router.py")))

    @cached_property
    def strategies(self) -> frozenset[str]:
        """The ways of a router to choose a deployment: the values of the enumeration of them, and LiteLLM's own."""
        source = self._source("types/router.py")
        body = re.search(r"^class RoutingStrategy\b.*?(?=^\S)", source, re.MULTILINE | re.DOTALL)
        found = re.findall(r"^    \w+ = \"([^\"]+)\"", body[0] if body else "", re.MULTILINE)
        return frozenset([*found, "simple-shuffle"] if found else [])

    @cached_property
    def models(self) -> Mapping[str, Mapping[str, object]]:
        """What LiteLLM's own price list says of each model, by name."""
        loaded: dict[str, dict[str, object]] = json.loads(self._source(PRICES))
        return loaded

    @cached_property
    def providers(self) -> frozenset[str]:
        """What a model's name can begin with: the values of the enumeration of providers."""
        source = self._source("types/utils.py")
        body = re.search(r"^class LlmProviders\b.*?(?=^\S)", source, re.MULTILINE | re.DOTALL)
        return frozenset(re.findall(r"^    \w+ = \"([^\"]+)\"", body[0] if body else "", re.MULTILINE))

    def read_from(self, section: str, names: Iterable[str]) -> set[str]:
        """Those of `names` that any module reads from the config's `section`: by name beside the section's, or as an
        attribute of litellm, which is what `litellm_settings` sets."""
        return self._found(names, lambda name, source: _is_read(section, name, source))

    def mentioned(self, names: Iterable[str]) -> set[str]:
        """Those of `names` that stand in quotes, or as an attribute of litellm, anywhere in LiteLLM's code: a setting
        that one of its many modules reads is not unknown because no list has it."""
        return self._found(names, _is_named)

    def _found(self, names: Iterable[str], is_there: Callable[[bytes, bytes], bool]) -> set[str]:
        """Those of `names` for which `is_there` is true with the source of any module."""
        left = set(names)
        found: set[str] = set()
        for source in self._sources if left else ():
            found |= {name for name in left - found if name.encode() in source and is_there(name.encode(), source)}
        return found

    @cached_property
    def _sources(self) -> tuple[bytes, ...]:
        """All of LiteLLM's modules, read once for whatever is looked for in them."""
        return tuple(path.read_bytes() for path in self.package.rglob("*.py"))

    @cached_property
    def _proxy(self) -> str:
        return self._source("proxy/proxy_server.py")

    def _source(self, name: str) -> str:
        return (self.package / name).read_text("utf-8")


@cache
def installed() -> Release:
    """The LiteLLM of this environment, found without importing it, and read once. Raises ConfigError if there is
    none."""
    spec = find_spec("litellm")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigError("LiteLLM is not installed here, which knows the settings and models: install litellm.")
    return Release(Path(next(iter(spec.submodule_search_locations))))


def _bound(source: str) -> Iterator[str]:
    """The names that a module of this `source` has, by assignment or by import."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.ImportFrom):
            yield from (alias.asname or alias.name for alias in node.names)


def _asked_for(section: str, source: str) -> list[str]:
    """The names that `source` gets from the mapping called `section`, by get or by index."""
    return re.findall(rf"\b{section}(?:\.get\(|\[)\s*\"(\w+)\"", source)


def _fields(title: str, source: str) -> list[str]:
    """The annotated names in the body of the class called `title`; none where the release has no such class."""
    body = re.search(rf"^class {title}\b.*?(?=^(?:class |def |@|\w+ *[:=(])|\Z)", source, re.MULTILINE | re.DOTALL)
    classes = ast.parse(body[0]).body if body else []
    statements = classes[0].body if classes and isinstance(classes[0], ast.ClassDef) else []
    targets = (statement.target for statement in statements if isinstance(statement, ast.AnnAssign))
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _is_named(name: bytes, source: bytes) -> bool:
    word = re.escape(name)
    return re.search(rb"[\"']" + word + rb"[\"']|\blitellm\." + word + rb"\b", source) is not None


def _is_read(section: str, name: bytes, source: bytes) -> bool:
    """Whether `source` asks the mapping `section`, by one of its names, for `name`: by get, by index or by `in`."""
    quoted = rb"[\"']" + re.escape(name) + rb"[\"']"
    mapping = CALLED.get(section, re.escape(section.encode()))
    asked = rb"\b" + mapping + rb"(?: or \{\})?\W{0,12}(?:(?:get|pop)\(\s*)?" + quoted
    looked_for = quoted + rb"\s+(?:not\s+)?in\s+(?:\w+\.)*" + mapping
    ways = [asked, looked_for]
    if section == "litellm_settings":
        ways += [rb"\blitellm\." + re.escape(name) + rb"\b", rb"attr\(\s*litellm,\s*" + quoted]
    return re.search(b"|".join(ways), source) is not None
