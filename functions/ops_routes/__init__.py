"""The routes of `ops`: what each of them answers."""
