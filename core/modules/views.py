"""What any asset class asks first: is there a quote to trust, and what do the strategies say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from math import isfinite

from core.errors import FAULTS
from core.model.features import Features
from core.model.judgement import Refusal, Snapshot, SymbolView, confidence_of
from core.model.market import Quote
from core.strategies.strategy import Strategy

Scores = Mapping[str, Mapping[str, float]]
"""By symbol, the score of each of its strategies at its newest bar."""


def scores(snapshot: Snapshot, strategies_of: Callable[[str], Sequence[Strategy]]) -> Scores:
    """What each symbol's strategies say, in their order; a strategy without its features says nothing."""
    known = snapshot.features
    width = next((values.shape[1] for values in known.columns.values()), 1)
    newest = (
        known if width == 1 else Features(known.symbols, {name: each[:, -1:] for name, each in known.columns.items()})
    )
    columns: dict[str, list[float]] = {}
    found: dict[str, dict[str, float]] = {}
    for row, symbol in enumerate(known.symbols):
        own = found[symbol] = {}
        for strategy in strategies_of(symbol):
            name = strategy.name
            if name not in columns:
                try:
                    columns[name] = strategy.score(newest).ravel().tolist()
                except FAULTS as fault:
                    fault.add_note(f"strategy {name}, asked for {symbol}")
                    raise
            if columns[name] and isfinite(score := columns[name][row]):
                own[name] = score
    return found


def told(source: str, score: float) -> str:
    return f"{source} score {score:+.2f}"


def fresh_quote(snapshot: Snapshot, symbol: str) -> Quote | Refusal:
    """The symbol's quote if it is young and tight enough to open risk on."""
    signals = snapshot.limits.signals
    quote = snapshot.quotes.get(symbol)
    if quote is None:
        return Refusal(symbol, "quote", "the broker gives no two-sided quote")
    age_s = (snapshot.as_of - quote.as_of).total_seconds()
    if age_s > signals.max_quote_age_s:
        return Refusal(symbol, "quote_age", f"the quote is {span(age_s)} old, at most {span(signals.max_quote_age_s)}")
    if quote.spread_frac > signals.max_spread_frac:
        return Refusal(
            symbol, "spread", f"the spread is {quote.spread_frac:.2%}, at most {signals.max_spread_frac:.2%}"
        )
    return quote


def span(seconds: float) -> str:
    """A length of time in words, its two largest units: `20 min 1 s`."""
    days, rest = divmod(round(seconds), 86_400)
    hours, rest = divmod(rest, 3_600)
    minutes, rest = divmod(rest, 60)
    counted = ((days, "d"), (hours, "h"), (minutes, "min"), (rest, "s"))
    return " ".join([f"{count} {unit}" for count, unit in counted if count][:2]) or "0 s"


def views_of(snapshot: Snapshot, symbols: Iterable[str], known: Scores) -> tuple[SymbolView, ...]:
    """What was seen of each symbol: quote, newest bar, each strategy's confidence, and what is held."""
    bars = snapshot.bars
    newest = zip(bars.close[:, -1:].ravel().tolist(), bars.opened_at[:, -1:].ravel().astype(str).tolist(), strict=True)
    bar_of = dict(zip(bars.symbols, newest, strict=False))
    held = {position.symbol: position for position in snapshot.positions}
    views = []
    for symbol in symbols:
        facts: dict[str, float | str] = {}
        if (quote := snapshot.quotes.get(symbol)) is not None:
            facts = {"bid": float(quote.bid), "ask": float(quote.ask), "quote_at": quote.as_of.isoformat()}
        if (bar := bar_of.get(symbol)) is not None:
            facts["close"], facts["bar_opened_at"] = bar
        for source, score in known.get(symbol, {}).items():
            facts[f"{source}_confidence"] = round(confidence_of(score), 4)
        if (position := held.get(symbol)) is not None:
            facts |= {"held_quantity": float(position.quantity), "held_value_usd": float(position.market_value_usd)}
        views.append(SymbolView(symbol, facts))
    return tuple(views)
