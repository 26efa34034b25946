"""What several test folders share: a provider that fails on a real socket.

Nothing here imports litellm, so it serves the stock and the patched package alike.
"""
