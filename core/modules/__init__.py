"""The asset classes: each file holds one class's own rules behind the same small protocol."""

from __future__ import annotations

from core.modules.crypto import Crypto
from core.modules.module import AssetModule

MODULES: dict[str, AssetModule] = {"crypto": Crypto()}
"""Add an asset class by adding a file and naming it here."""
