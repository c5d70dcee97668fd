"""Cronfolio's core: look at the broker, decide purely, act exactly once, keep the books."""
