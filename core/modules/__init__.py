"""The asset classes: each file holds one class's own rules behind the same small protocol."""

from __future__ import annotations

from functools import cache

from core.model.market import AssetClass
from core.modules.module import AssetModule

CLASSES = {"crypto": AssetClass.CRYPTO, "stocks": AssetClass.STOCK, "options": AssetClass.OPTION}
"""Every module's name and asset class. Add one by adding a file, naming it here and below."""


@cache
def module_named(name: str) -> AssetModule:
    """The module of that name, imported when it is first asked for: a function runs one and starts without the others.

    KeyError for an unknown name.
    """
    match CLASSES[name]:
        case AssetClass.CRYPTO:
            from core.modules.crypto import Crypto

            return Crypto()
        case AssetClass.STOCK:
            from core.modules.stocks import Stocks

            return Stocks()
        case AssetClass.OPTION:
            from core.modules.options import Options

            return Options()


def strategy_names() -> dict[str, tuple[str, ...]]:
    """Every strategy by module, so that a report can tell which of them did nothing."""
    return {name: module_named(name).strategy_names for name in CLASSES}
