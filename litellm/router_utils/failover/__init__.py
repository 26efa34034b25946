"""
What the router does about a failed attempt: `policy` decides, `python_router` and `compiled_router` carry it out.
"""
