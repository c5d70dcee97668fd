"""Options on eight underlyings: a view of each, the structure that fits it, and exits that never wait for a view."""

from __future__ import annotations

from core.modules.options.module import Options
from core.modules.options.turns import rotation, windows

__all__ = ["Options", "rotation", "windows"]
