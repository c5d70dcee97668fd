"""Which signals may count, whoever made them: the wall between what is said of the market and what is done."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from math import isfinite

from core.documents import value_of
from core.errors import BadFacts
from core.model.intelligence import Purpose, Signal, Urgency
from core.model.judgement import Refusal
from core.ports import Document
from core.risk.regime import MarketState

CURRENT_PATH = "intelligence/current"
STOCKS, CRYPTO = "stocks", "crypto"
MARKETS = (STOCKS, CRYPTO)
BUY = "buy"

LIFETIME = timedelta(hours=12)
"""Two runs: one that fails takes nothing away."""
LONGEST_LIFE = timedelta(hours=24)
"""As far back as a cycle sees its own orders, by which a signal that was acted on is known."""
CLOCK_SKEW = timedelta(seconds=2)
MOST_CHARACTERS = 2000
MUTED = "muted"
"""The rule by which nothing counts of a source whose opinions cost more than they were worth."""

STATES = tuple(state.value for state in MarketState)
VALUES = {
    Purpose.MARKET_REGIME: STATES,
    Purpose.POSITION_RISK: tuple(urgency.value for urgency in Urgency),
    Purpose.OPPORTUNITY: (BUY,),
    Purpose.NEWS: STATES,
}


def fault(signal: Signal, *, symbols: Collection[str], as_of: datetime, muted: Collection[str] = ()) -> str | None:
    """Why this signal is none, or None. `symbols`: all that a signal may be about; `muted`: sources that lost their
    trial."""
    if signal.source in muted:
        return MUTED
    if signal.kind is Purpose.MARKET_REGIME:
        is_known = signal.symbol in ("", *MARKETS)
    else:
        is_known = signal.symbol in symbols or (signal.kind is Purpose.NEWS and not signal.symbol)
    if not is_known:
        return "unknown symbol"
    if signal.value not in VALUES[signal.kind]:
        return "unknown value"
    if not _is_share(signal.confidence) or not (signal.score is None or _is_share(signal.score)):
        return "confidence or score outside 0 to 1"
    if signal.kind is Purpose.POSITION_RISK and signal.score is None:
        return "no score"
    if not signal.source:
        return "no source"
    if not signal.reasoning.strip() or len(signal.reasoning) > MOST_CHARACTERS:
        return "no reasoning, or too long"
    if signal.at.tzinfo is None or signal.expires_at.tzinfo is None:
        return "a time without a zone"
    if signal.at > as_of + CLOCK_SKEW:
        return "from the future"
    if signal.expires_at <= as_of:
        return "expired"
    return "lives longer than a day" if signal.expires_at - signal.at > LONGEST_LIFE else None


def stored_signals(stored: Document | None) -> tuple[tuple[Signal, ...], tuple[Refusal, ...]]:
    """The signals of `intelligence/current`, and a note for each that cannot be read; no document has none."""
    if stored is None:
        return (), ()
    data = stored.data.get("data")
    items, muted = (data.get("signals"), data.get("muted")) if isinstance(data, dict) else (None, None)
    if not isinstance(items, list):
        return (), (_note(f"{stored.path} holds no list of signals; the next run writes it anew"),)
    signals, notes = [], []
    for item in items:
        try:
            signal = value_of(Signal, item, stored.path)
        except BadFacts as error:
            notes.append(_note(f"a signal is left out: {error}"))
            continue
        if isinstance(muted, dict) and signal.source in muted:
            notes.append(Refusal("market", MUTED, f"{signal.kind} of {signal.source}: its opinions do not count"))
        else:
            signals.append(signal)
    return tuple(signals), tuple(notes)


def _note(reason: str) -> Refusal:
    return Refusal("market", "intelligence", reason)


def _is_share(value: float) -> bool:
    return isfinite(value) and 0 <= value <= 1
