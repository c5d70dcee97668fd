"""Yahoo as an optional source, by yfinance: headlines, and daily bars of stocks that the broker has no bars of."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np

from core.data.sources import NOTHING, Round, parsed
from core.model.bars import Bars, from_rows
from core.model.intelligence import News
from core.model.market import Timeframe

NAME = "Yahoo"
MOST_SYMBOLS = 10
MOST_LINES = 10
TIMEOUT_S = 10.0
COLUMNS = ("Open", "High", "Low", "Close", "Volume")


class YahooSource:
    """Raises `ImportError` where yfinance is not installed. `session`: None lets yfinance open its own.

    Yahoo has no interface for programs, and its terms allow personal use; it may refuse at any time.
    """

    def __init__(self, session: Any = None) -> None:
        import yfinance
        from yfinance.exceptions import YFException

        # Else yfinance prints an error and answers with nothing.
        yfinance.config.debug.hide_exceptions = False
        self._ticker, self._session, self._error = yfinance.Ticker, session, YFException

    def headlines(self, symbols: Sequence[str], since: datetime, until: datetime) -> News:
        """News of the first `symbols`."""
        told = Round(NAME, since, until, self._error)
        for symbol in symbols[:MOST_SYMBOLS]:
            for item in told.maps(told.ask(self._named(symbol).get_news, count=MOST_LINES)):
                if line := told.one(item.get("content")):
                    by, page = line.get("provider"), line.get("canonicalUrl")
                    publisher = by.get("displayName") if isinstance(by, dict) else None
                    url = page.get("url") if isinstance(page, dict) else None
                    published_at = parsed(line.get("pubDate"), "%Y-%m-%dT%H:%M:%SZ")
                    told.line(publisher, published_at, [symbol], line.get("title"), url)
        return told.news()

    def daily_bars(self, symbols: Sequence[str], start: datetime, end: datetime) -> Bars:
        """Bars of stocks as Yahoo has them, adjusted for splits; nothing is checked but their shape.

        A symbol that fails has no bars; `SourceUnavailable` where all do.
        """
        told = Round(NAME, start, end, self._error)
        rows = {symbol: np.empty((0, 6)) for symbol in symbols}
        for symbol in symbols[:MOST_SYMBOLS]:
            found = told.ask(self._rows, symbol, start, end)
            if found is not NOTHING:
                rows[symbol] = found
        told.news()
        return from_rows(Timeframe.DAY, rows)

    def _rows(self, symbol: str, start: datetime, end: datetime) -> Any:
        """(n, 6): when a day began in epoch seconds, open, high, low, close, volume. Prices are adjusted for splits."""
        table = self._named(symbol).history(
            interval="1d",
            start=start,
            end=end + timedelta(days=1),
            auto_adjust=False,
            actions=False,
            timeout=TIMEOUT_S,
        )
        opened_at = [moment.timestamp() for moment in table.index]
        return np.column_stack(
            [np.array(opened_at, dtype=np.float64), *(table[each].astype(float) for each in COLUMNS)]
        )

    def _named(self, symbol: str) -> Any:
        """Yahoo writes BTC-USD and BRK-B."""
        return self._ticker(symbol.replace("/", "-").replace(".", "-"), session=self._session)
