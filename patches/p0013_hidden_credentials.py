"""fix(proxy): no credential in answers, logs and /health

Problem
-------
Providers repeat a key they do not accept, and LiteLLM's redaction knows keys
by their shape alone: those of a shape it does not know reach the caller and
the log. /health, the model info and the header that names a deployment's
address show what a URL holds, and keys that a provider has repeated.

Change
------
- Redaction, of answers and of the log, knows the deployments' credentials
  by their values. So it knows the caller's own while the request lasts, and
  what a URL holds.
- /health and the model info show no credential, and neither does the
  header that names a deployment's address.

Tests
-----
Secrets of many shapes; the proxy as a process, with providers that repeat
what they were sent.
"""

from fork.edits import AddImport, Decorate, ForReleases, Otherwise

KNOWN_CREDENTIALS = "litellm.litellm_core_utils.known_credentials"
REDACTION = "litellm.proxy.failover_errors.redaction"
HIDING = AddImport(REDACTION, ("hide_credentials",))
REMEMBERING = AddImport(KNOWN_CREDENTIALS, ("remember_deployment_credentials",))

ADDS = (
    "litellm/litellm_core_utils/known_credentials.py",
    "litellm/proxy/failover_errors/__init__.py",
    "litellm/proxy/failover_errors/redaction.py",
    "tests/proxy_unit_tests/__init__.py",
    "tests/proxy_unit_tests/test_hidden_credentials.py",
)
EDITS = {
    "litellm/_logging.py": (
        ForReleases(
            {
                "<1.106": (
                    AddImport(KNOWN_CREDENTIALS, ("redact_known_credentials",)),
                    Decorate("_redact_string", "redact_known_credentials"),
                )
            },
            why="redaction has a module of its own",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/litellm_core_utils/secret_redaction.py": (
        ForReleases(
            {
                ">=1.106": (
                    AddImport(KNOWN_CREDENTIALS, ("redact_known_credentials",)),
                    Decorate("python_redact_string", "redact_known_credentials"),
                    Decorate("redact_string", "redact_known_credentials"),
                    Decorate("redact_internal_details", "redact_known_credentials"),
                )
            },
            why="redaction is a part of the logging module",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router.py": (
        ForReleases(
            {"<1.110": (REMEMBERING, Decorate("Router._add_deployment", "remember_deployment_credentials"))},
            why="the registry of deployments has a module of its own",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/router_rust/surface/registry.py": (
        ForReleases(
            {
                ">=1.110": (
                    REMEMBERING,
                    Decorate("HostRegistry._register_deployment", "remember_deployment_credentials"),
                )
            },
            why="the router keeps its deployments itself",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/proxy/common_utils/http_parsing_utils.py": (
        AddImport(KNOWN_CREDENTIALS, ("remember_caller_credentials",)),
        ForReleases(
            {
                "<1.104": (Decorate("_read_request_body", "remember_caller_credentials"),),
                ">=1.104": (Decorate("read_request_body", "remember_caller_credentials"),),
            },
            why="it has one of the two names",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/proxy/common_utils/openai_endpoint_utils.py": (
        HIDING,
        Decorate("remove_sensitive_info_from_deployment", "hide_credentials"),
    ),
    "litellm/proxy/health_check.py": (
        HIDING,
        ForReleases(
            {
                "<1.104": (Decorate("_clean_endpoint_data", "hide_credentials"),),
                ">=1.104": (Decorate("clean_endpoint_data", "hide_credentials"),),
            },
            why="it has one of the two names",
            otherwise=Otherwise.MOVED,
        ),
    ),
    "litellm/proxy/common_request_processing.py": (
        AddImport(REDACTION, ("hide_credentials_in_headers",)),
        Decorate("ProxyBaseLLMRequestProcessing.get_custom_headers", "hide_credentials_in_headers"),
    ),
}
