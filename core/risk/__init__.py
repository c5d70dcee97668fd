"""How large a position may be, and when it must be reduced."""
