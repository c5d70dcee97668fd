"""From facts to a decision: snapshot, opinion, opportunity, target, refusal, decision."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any, TypeVar

from core.model.bars import Bars
from core.model.features import Features
from core.model.intelligence import Signal
from core.model.limits import Limits
from core.model.market import Asset, Clock, LastTrade, Quote, TradingSession
from core.model.options import Chain
from core.model.orders import Account, Leg, Order, OrderIntent, Position, Purpose
from core.model.trades import Books

T = TypeVar("T")

HELD_FOR_ORDERS = "held_for_orders"
"""The rule of an exit that waits until an open sell order lets go of its coins."""

PERSON = "person:"
"""What the author of a mode begins with when it is no breaker."""


class Mode(StrEnum):
    """ACTIVE: entries and exits. REDUCING: exits only. HALTED: nothing but the emergency endpoint."""

    ACTIVE = "ACTIVE"
    REDUCING = "REDUCING"
    HALTED = "HALTED"


@dataclass(frozen=True, slots=True)
class ModeState:
    """The trading mode in force, and why. `until` None lasts until a person changes it."""

    mode: Mode
    reason: str
    by: str
    at: datetime
    until: datetime | None = None

    @property
    def is_by_a_person(self) -> bool:
        return self.by.startswith(PERSON)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A rule said no: a result that is recorded, not an error. `strategy`: whose idea it was, where it had one."""

    symbol: str
    rule: str
    reason: str
    strategy: str = ""


def confidence_of(score: float) -> float:
    """A strategy's score, in [-1, 1] and zero on average where prices have no drift, as a confidence in [0, 1]."""
    return (1.0 + score) / 2.0


@dataclass(frozen=True, slots=True)
class ModelOpinion:
    """A trained model's view of one idea. `probability` of a profitable trade after costs; None: it is too unlike what
    was learned from to say, and what `net_return_frac` to expect. `keeps`: whether the model has nothing against it; it
    can do no more than object."""

    model: str
    probability: float | None
    keeps: bool
    net_return_frac: float | None = None


@dataclass(frozen=True, slots=True)
class Opportunity:
    """A possible trade: an entry that pays at most `limit_price`, or an exit of `quantity`.

    `unit_cost_usd`: what one unit takes from cash or collateral, and `unit_risk_usd`: what it may lose, where these are
    not the limit price and its distance to the stop. `legs`, `underlying`: of an option order, as in `OrderIntent`.
    `after_cancel`: resting orders to cancel first.
    """

    symbol: str
    purpose: Purpose
    strategy: str
    confidence: float
    reason: str
    reference_price: Decimal
    limit_price: Decimal | None = None
    quantity: Decimal | None = None
    stop_price: Decimal | None = None
    target_price: Decimal | None = None
    size_factor: Decimal = Decimal(1)
    daily_volume_usd: float | None = None
    features: Mapping[str, float] = field(default_factory=dict)
    unit_cost_usd: Decimal | None = None
    unit_risk_usd: Decimal | None = None
    legs: tuple[Leg, ...] = ()
    underlying: str = ""
    after_cancel: tuple[str, ...] = ()

    @property
    def counts_as(self) -> str:
        """The symbol whose caps this falls under: an option's underlying."""
        return self.underlying or self.symbol


@dataclass(frozen=True, slots=True)
class Target:
    """A size we want for an opportunity, and which limit set it."""

    opportunity: Opportunity
    quantity: Decimal
    limited_by: str


@dataclass(frozen=True, slots=True)
class SymbolView:
    """What was seen of one symbol: the facts a person needs to follow the decision."""

    symbol: str
    facts: Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All facts of one moment. The judgement sees this and nothing else.

    `orders`: open, or submitted within the last day. `gaps`: facts that could not be had, by symbol. `assets`, `bars`,
    `features`, `quotes`, `last_trades`, `chains`: of this module's own symbols. `sessions`: the broker's calendar
    around today, empty when it is not known, and then nothing is opened; exits go by the clock. `signals`: all of the
    last intelligence run, those that have expired as well. `model_opinions`: by symbol and strategy, empty without a
    model in force. `learned`: values of parameters that learning set, by name. `known`: what `once` worked out; no
    fact, and in no copy.
    """

    cycle_id: str
    module: str
    as_of: datetime
    mode: ModeState
    account: Account
    positions: tuple[Position, ...]
    orders: tuple[Order, ...]
    assets: Mapping[str, Asset]
    bars: Bars
    features: Features
    quotes: Mapping[str, Quote]
    books: Books
    limits: Limits
    gaps: tuple[Refusal, ...]
    clock: Clock | None = None
    sessions: tuple[TradingSession, ...] = ()
    last_trades: Mapping[str, LastTrade] = field(default_factory=dict)
    chains: Mapping[str, Chain] = field(default_factory=dict)
    signals: tuple[Signal, ...] = ()
    model_opinions: Mapping[str, Mapping[str, ModelOpinion]] = field(default_factory=dict)
    learned: Mapping[str, float] = field(default_factory=dict)
    known: dict[Hashable, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    def once(self, work: Callable[..., T], *arguments: Hashable) -> T:
        """What a pure function says of this snapshot, worked out at the first call only."""
        key = (work, *arguments)
        if key not in self.known:
            self.known[key] = work(self, *arguments)
        answer: T = self.known[key]
        return answer

    def position(self, symbol: str) -> Position | None:
        return next((position for position in self.positions if position.symbol == symbol), None)

    def spot(self, symbol: str) -> LastTrade | None:
        """The newest price of a symbol, by its quote's middle or its last trade, and when it was."""
        quote, trade = self.quotes.get(symbol), self.last_trades.get(symbol)
        if quote is None or (trade is not None and trade.as_of > quote.as_of):
            return trade
        return LastTrade(symbol, quote.mid, quote.as_of)


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do: intents with exits first, orders to cancel before, every refusal, and a breaker if one tripped."""

    intents: tuple[OrderIntent, ...]
    cancel_order_ids: tuple[str, ...]
    refusals: tuple[Refusal, ...]
    views: tuple[SymbolView, ...]
    breaker: ModeState | None
