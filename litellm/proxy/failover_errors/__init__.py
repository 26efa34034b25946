"""
What the proxy's caller is told of a failure: `response` decides, `redaction` takes out what is secret, `handler` puts
it into the format of the route.
"""
