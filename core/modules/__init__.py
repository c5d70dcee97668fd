"""The asset classes: each file holds one class's own rules behind the same small protocol."""

from __future__ import annotations

from core.modules.crypto import Crypto
from core.modules.module import AssetModule
from core.modules.options import Options
from core.modules.stocks import Stocks

MODULES: dict[str, AssetModule] = {"crypto": Crypto(), "stocks": Stocks(), "options": Options()}
"""Add an asset class by adding a file and naming it here."""

STRATEGY_NAMES = {name: module.strategy_names for name, module in MODULES.items()}
"""Every strategy by module, so that a report can tell which of them did nothing."""
