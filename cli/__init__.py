"""The `cronfolio` command: thin, over core.app and HTTP."""
