"""One cycle: claim, look, settle, decide, write the plan, act, settle, answer."""
