"""The deployed functions: thin HTTP over the core."""
