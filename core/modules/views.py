"""What any asset class asks first: is there a quote to trust, and what do the strategies say."""

from __future__ import annotations

from math import isfinite

from core.model.judgement import Opinion, Refusal, Snapshot
from core.model.market import Quote
from core.strategies import STRATEGIES


def opinions(snapshot: Snapshot) -> dict[str, tuple[Opinion, ...]]:
    """Every strategy's view of every symbol; a strategy without its features has none."""
    symbols = snapshot.features.symbols
    views: dict[str, list[Opinion]] = {symbol: [] for symbol in symbols}
    for strategy in STRATEGIES:
        newest = strategy.score(snapshot.features)[:, -1:].ravel().tolist()
        for symbol, score in zip(symbols, newest, strict=False):
            if isfinite(score):
                views[symbol].append(Opinion(symbol, strategy.name, score, f"{strategy.name} score {score:+.2f}"))
    return {symbol: tuple(found) for symbol, found in views.items()}


def fresh_quote(snapshot: Snapshot, symbol: str) -> Quote | Refusal:
    """The symbol's quote if it is young and tight enough to open risk on."""
    signals = snapshot.limits.signals
    quote = snapshot.quotes.get(symbol)
    if quote is None:
        return Refusal(symbol, "quote", "the broker gives no two-sided quote")
    age_s = (snapshot.as_of - quote.as_of).total_seconds()
    if age_s > signals.max_quote_age_s:
        return Refusal(symbol, "quote_age", f"the quote is {age_s:.0f} s old, at most {signals.max_quote_age_s:.0f}")
    if quote.spread_frac > signals.max_spread_frac:
        return Refusal(
            symbol, "spread", f"the spread is {quote.spread_frac:.2%}, at most {signals.max_spread_frac:.2%}"
        )
    return quote
