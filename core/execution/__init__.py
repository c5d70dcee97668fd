"""Orders sent exactly once, and fills booked exactly once."""
