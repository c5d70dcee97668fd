"""Other backtesters, each in an environment of its own, at the same work on the same bars: `python -m bench.peers`."""
