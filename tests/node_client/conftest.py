"""The proxy at which OpenAI's client for Node is tried is the one of the other tests."""

from proxy.conftest import proxied as proxied
