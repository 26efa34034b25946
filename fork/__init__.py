"""How a LiteLLM release, the modules in `litellm/` and the edits in `patches/` become one package.

This package runs only while that package is built; nothing of it is installed.
"""

import sys

if sys.version_info < (3, 10):  # noqa: UP036 - before any module is read that an older Python cannot parse
    sys.exit(f"litellm-failover: this branch of LiteLLM needs Python 3.10 or newer, this is {sys.version.split()[0]}.")


class ForkError(Exception):
    """Something the person at the keyboard can put right; the message is one sentence that names it and the remedy."""
