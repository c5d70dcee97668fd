"""Learning from trades and from recorded history: samples, honest validation, models, and the gate they must pass."""
