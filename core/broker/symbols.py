"""One canonical symbol form, `BTC/USD`, as Alpaca's orders and data use it; `core.model.market.joined` leads back."""

from __future__ import annotations

QUOTE_CURRENCIES = ("USDT", "USDC", "USD", "BTC")


def canonical_crypto(symbol: str) -> str:
    """`BTCUSD` or `BTC/USD` as `BTC/USD`; only for what the broker itself calls crypto."""
    if "/" in symbol:
        return symbol
    for currency in QUOTE_CURRENCIES:
        if symbol.endswith(currency) and len(symbol) > len(currency):
            return f"{symbol[: -len(currency)]}/{currency}"
    raise ValueError(f"{symbol} ends in none of {', '.join(QUOTE_CURRENCIES)}; it is no crypto pair of Alpaca's")
