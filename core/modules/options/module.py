"""Options: only risk that is limited and known before entry; no exit rests at the broker, every cycle watches them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

from core.data.sessions import entry_session
from core.execution.ids import client_order_id
from core.intelligence.advice import advice, advised
from core.model.judgement import Opportunity, Refusal, Snapshot, SymbolView, Target
from core.model.market import AssetClass, Timeframe
from core.model.options import MULTIPLIER
from core.model.orders import OrderClass, OrderIntent, OrderType, Side, TimeInForce
from core.modules.entries import ENTRY_LIFETIME, size_reason
from core.modules.module import Universe
from core.modules.options.entries import entries
from core.modules.options.exits import exits
from core.modules.options.strategies import STRATEGIES
from core.modules.options.view import view_of
from core.settings import Settings
from core.units import floor_to

WHOLE = Decimal(1)


class Options:
    """The options module; it holds no state."""

    asset_class = AssetClass.OPTION
    strategy_names = tuple(strategy.name for strategy in STRATEGIES)

    def universe(self, settings: Settings) -> Universe:
        return Universe(settings.option_underlyings, AssetClass.STOCK, Timeframe.DAY, has_chains=True)

    def analyze_opportunities(self, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
        """The best structure on each underlying whose turn it is, and why others are not to be had."""
        gaps = tuple(gap for gap in snapshot.gaps if gap.symbol not in snapshot.chains)
        shut = _shut(snapshot)
        if shut is not None:
            return (*(Refusal(symbol, *shut) for symbol in snapshot.assets), *gaps)
        answers = entries(snapshot)
        ideas = [answer for answer in answers if isinstance(answer, Opportunity)]
        refusals = [answer for answer in answers if isinstance(answer, Refusal)]
        market = snapshot.once(advice, self.asset_class)
        return (*advised(ideas, market), *refusals, *gaps, *market.notes)

    def monitor_positions(self, snapshot: Snapshot) -> tuple[Opportunity | Refusal, ...]:
        return exits(snapshot)

    def plan_trades(self, targets: Sequence[Target], snapshot: Snapshot) -> tuple[OrderIntent, ...]:
        names = [target.opportunity.symbol for target in targets]
        return tuple(_intent(target, snapshot, 1 + names[:i].count(names[i])) for i, target in enumerate(targets))

    def day_ends_at(self, snapshot: Snapshot) -> datetime:
        """Midnight in UTC, which is in the evening of New York."""
        return datetime.combine(snapshot.as_of.date() + timedelta(days=1), time(), UTC)

    def views(self, snapshot: Snapshot) -> tuple[SymbolView, ...]:
        return tuple(_view(snapshot, symbol) for symbol in snapshot.assets)


def _shut(snapshot: Snapshot) -> tuple[str, str] | None:
    """The rule and reason for which nothing at all may be opened."""
    account = snapshot.account
    if not account.is_trading_allowed:
        return "account", account.restriction
    if account.options_level < 1:
        return "options_level", "the account has options level 0; ask the broker for a higher one"
    session = entry_session(snapshot.clock, snapshot.sessions, no_entry_minutes=snapshot.limits.stocks.no_entry_minutes)
    return ("session", session) if isinstance(session, str) else None


def _intent(target: Target, snapshot: Snapshot, attempt: int) -> OrderIntent:
    """A DAY order: one contract simple, several as one multi-leg order that fills together or not at all.

    The side of several contracts is whether the account pays (buy) or is paid (sell).
    """
    idea = target.opportunity
    entry = idea.purpose.opens_risk
    several = len(idea.legs) > 1
    price = idea.limit_price if idea.limit_price is not None else idea.reference_price
    side = (Side.BUY if price >= 0 else Side.SELL) if several else idea.legs[0].position_intent.side
    return OrderIntent(
        client_order_id=client_order_id(
            snapshot.account.account_id, snapshot.cycle_id, snapshot.as_of, idea.symbol, idea.purpose, attempt
        ),
        symbol=idea.symbol,
        asset_class=AssetClass.OPTION,
        side=side,
        purpose=idea.purpose,
        order_type=OrderType.MARKET if idea.limit_price is None else OrderType.LIMIT,
        time_in_force=TimeInForce.DAY,
        quantity=floor_to(target.quantity, WHOLE),
        limit_price=idea.limit_price,
        reference_price=idea.reference_price,
        strategy=idea.strategy,
        reason=f"{idea.reason}; {size_reason(target)}" if entry else idea.reason,
        expires_at=snapshot.as_of + ENTRY_LIFETIME if entry else None,
        features=idea.features,
        order_class=OrderClass.MULTI_LEG if several else OrderClass.SIMPLE,
        legs=idea.legs,
        multiplier=MULTIPLIER,
        underlying=idea.underlying,
        after_cancel=idea.after_cancel,
        unit_cost_usd=idea.unit_cost_usd,
        max_loss_usd=idea.unit_risk_usd,
    )


def _view(snapshot: Snapshot, symbol: str) -> SymbolView:
    """What was seen of an underlying: price, trend and both volatilities, or what of them is missing."""
    chain = snapshot.chains.get(symbol)
    if chain is None:
        return SymbolView(symbol, {"missing": "its chain was not read in this cycle"})
    seen = snapshot.once(view_of, chain)
    if isinstance(seen, Refusal):
        return SymbolView(symbol, {"missing": f"{seen.rule}: {seen.reason}"})
    view, usable = seen
    facts: dict[str, float | str] = {
        "spot": float(view.spot),
        "trend_score": round(view.score, 4),
        "outlook": view.outlook,
        "realised_volatility": round(view.realised_volatility, 4),
        "implied_volatility": round(view.implied_volatility, 4),
        "tradable_contracts": len(usable.symbols),
        "expiry": str(usable.expiry[0]),
    }
    return SymbolView(symbol, facts)
