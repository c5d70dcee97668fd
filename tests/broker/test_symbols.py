"""One canonical symbol and two converters."""

from __future__ import annotations

import pytest

from core.broker.reading import canonical
from core.errors import BadFacts
from core.model.market import AssetClass, joined
from core.settings import load

KEYS = {"ALPACA_PAPER_API_KEY": "k", "ALPACA_PAPER_SECRET_KEY": "s", "CRONFOLIO_STATE": "sqlite:///x"}


@pytest.mark.parametrize("symbol", [*load(KEYS).crypto_symbols, "USDT/USD", "ETH/BTC", "AAVE/USDT", "MATIC/USDC"])
def test_every_symbol_survives_the_round_trip(symbol: str) -> None:
    """I-30: positions say BTCUSD, orders and data BTC/USD."""
    assert canonical(joined(symbol), AssetClass.CRYPTO) == symbol
    assert canonical(symbol, AssetClass.CRYPTO) == symbol


@pytest.mark.parametrize("symbol", ["AAPL", "USD", ""])
def test_what_is_no_pair_is_refused(symbol: str) -> None:
    """W-39: only what the broker calls crypto comes here, and then it must look like it."""
    with pytest.raises(BadFacts, match="no crypto pair"):
        canonical(symbol, AssetClass.CRYPTO)
