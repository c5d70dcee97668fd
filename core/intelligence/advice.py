"""What live signals change in a decision: less risk, or a better order among what rules accept already, never more."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal

from core.execution.ids import purpose_of
from core.intelligence.signals import CRYPTO, STOCKS, fault
from core.model.intelligence import COMPUTED, Purpose, Signal, Urgency
from core.model.judgement import Opportunity, Refusal, Snapshot, SymbolView
from core.model.market import AssetClass
from core.model.orders import Purpose as OrderPurpose
from core.risk.regime import MarketState, regime

LEAST_CONFIDENCE = 0.6
LEAST_RISK_SCORE = 0.8
HALF = Decimal("0.5")
MARKET_SIZE = "market_size"
"""The feature of an entry that a bearish market made smaller: the part of its size that was left."""
ELSE_BOUGHT = "in another market it would be bought"
"""What the refusal of an entry says that nothing but the market prevents."""
LAST_FACTS = "the last run's facts"
_HALVED = re.compile(rf"half size as the market is bearish(?: by ({LAST_FACTS}|[^\s,;]+))?")
_TRIMMED = re.compile(r"trim: half, as (\S+) rated its risk")

MARKET_OF = {AssetClass.STOCK: STOCKS, AssetClass.OPTION: STOCKS, AssetClass.CRYPTO: CRYPTO}
_FROM_BEST = (MarketState.BULLISH, MarketState.NEUTRAL, MarketState.UNKNOWN, MarketState.BEARISH)


@dataclass(frozen=True, slots=True)
class Advice:
    """`computed`: the market by this snapshot's own bars, `because` of what; `state`: the worse of it and of every
    signal that counts, `said_by` whom where a signal is worse. `picks`: symbols to try first. `notes`: signals that
    were left out."""

    computed: MarketState
    because: str
    state: MarketState
    said_by: str
    picks: frozenset[str]
    notes: tuple[Refusal, ...]

    @property
    def words(self) -> str:
        """`bearish`, or `bearish by o4-mini` where a signal is worse than the computed market."""
        return f"{self.state} by {self.said_by}" if self.said_by else self.state.value

    @property
    def view(self) -> SymbolView:
        """The market as a receipt tells it."""
        return SymbolView("market", {"regime": self.words, "because": self.because})

    def allows(self, markets: Collection[MarketState]) -> bool:
        """Whether both markets, the computed and the worse one, are among these: an opinion opens nothing."""
        return self.computed in markets and self.state in markets


def advice(snapshot: Snapshot, asset_class: AssetClass) -> Advice:
    """What counts for entries of this class now. Of options the bars are no market: theirs is the stored one."""
    state, because = MarketState.UNKNOWN, "the bars at hand are no market"
    if asset_class is not AssetClass.OPTION:
        found = regime(snapshot.bars, asset_class)
        state, because = found.state, found.reason
    worst, said_by, picks = state, "", set()
    for signal in _live(snapshot):
        if signal.kind is Purpose.OPPORTUNITY:
            picks.add(signal.symbol)
        elif signal.kind is Purpose.MARKET_REGIME and signal.symbol in ("", MARKET_OF[asset_class]):
            said = MarketState(signal.value)
            if said is not MarketState.UNKNOWN and _FROM_BEST.index(said) > _FROM_BEST.index(worst):
                worst, said_by = said, LAST_FACTS if signal.source == COMPUTED else signal.source
    return Advice(state, because, worst, said_by, frozenset(picks), _notes(snapshot))


def advised(entries: Iterable[Opportunity], known: Advice) -> list[Opportunity]:
    """What rules accept already, the best first, picks before others; in a bearish market each at half its size."""
    if known.state is MarketState.BEARISH:
        entries = [_halved(entry, known) for entry in entries]
    return sorted(entries, key=lambda entry: (entry.counts_as not in known.picks, -entry.confidence, entry.symbol))


def halves(snapshot: Snapshot) -> dict[str, str]:
    """The held symbols of which half is sold since a signal calls them risky and urgent, and why; once a signal."""
    return {
        signal.symbol: (
            f"trim: half, as {signal.source} rated its risk {signal.score:.2f} and its urgency {signal.value} at "
            f"{signal.at:%Y-%m-%d %H:%M} UTC"
        )
        for signal in _live(snapshot)
        if signal.kind is Purpose.POSITION_RISK
        and signal.value == Urgency.HIGH
        and signal.score is not None
        and signal.score >= LEAST_RISK_SCORE
        and not _was_trimmed_since(snapshot, signal)
    }


def effect(signal: Signal) -> str:
    """What decisions do about a signal while it lives; empty for one that changes nothing."""
    if signal.confidence < LEAST_CONFIDENCE:
        return ""
    if signal.kind is Purpose.MARKET_REGIME and signal.value == MarketState.BEARISH:
        market = f"{signal.symbol}: " if signal.symbol else ""
        leveraged = "" if signal.symbol == CRYPTO else ", no leveraged funds"
        return f"{market}new entries at half size{leveraged}"
    if signal.kind is Purpose.MARKET_REGIME and signal.value == MarketState.NEUTRAL and signal.symbol != CRYPTO:
        return "no leveraged funds"
    if signal.kind is Purpose.POSITION_RISK and signal.value == Urgency.HIGH:
        return f"half of {signal.symbol} is sold once" if (signal.score or 0) >= LEAST_RISK_SCORE else ""
    return f"{signal.symbol} is tried first if its own rules accept it" if signal.kind is Purpose.OPPORTUNITY else ""


def halved_by(reason: str) -> str:
    """Whose word halved the entry with this reason, empty where nobody's did; so is `trimmed_by` of a trim."""
    found = _HALVED.search(reason)
    return "" if found is None else COMPUTED if found[1] in (None, LAST_FACTS) else found[1]


def trimmed_by(reason: str) -> str:
    found = _TRIMMED.match(reason)
    return "" if found is None else found[1]


def _halved(entry: Opportunity, known: Advice) -> Opportunity:
    return replace(
        entry,
        size_factor=entry.size_factor * HALF,
        reason=f"{entry.reason}, half size as the market is {known.words}",
        features={**entry.features, MARKET_SIZE: float(HALF)},
    )


def _live(snapshot: Snapshot) -> Iterator[Signal]:
    for signal in snapshot.signals:
        if signal.confidence >= LEAST_CONFIDENCE and _fault(signal, snapshot) is None:
            yield signal


def _notes(snapshot: Snapshot) -> tuple[Refusal, ...]:
    """Signals that cannot be meant; that one has expired is how it should end."""
    faults = [(signal, _fault(signal, snapshot)) for signal in snapshot.signals]
    return tuple(
        Refusal("market", "intelligence", f"{signal.kind} of {signal.source} is left out: {why}")
        for signal, why in faults
        if why not in (None, "expired")
    )


def _fault(signal: Signal, snapshot: Snapshot) -> str | None:
    # Another module's symbols are in nobody's way: a decision looks up its own alone.
    return fault(signal, symbols=(signal.symbol,), as_of=snapshot.as_of)


def _was_trimmed_since(snapshot: Snapshot, signal: Signal) -> bool:
    """Whether any trim of the symbol was sent, or is being sent, since the signal was made."""
    return any(
        order.symbol == signal.symbol
        and order.submitted_at >= signal.at
        and purpose_of(order.client_order_id) is OrderPurpose.TRIM
        for order in snapshot.orders
    ) or any(
        record.intent.symbol == signal.symbol
        and record.planned_at >= signal.at
        and record.intent.purpose is OrderPurpose.TRIM
        for record in snapshot.books.unsettled
    )
