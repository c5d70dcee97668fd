"""The intelligence run: read the market, compute its facts, ask the adviser if there is one, store what may count.

It sends no order and takes no lease: decisions read `intelligence/current`, and any of them can do without it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import structlog

from core.cycle import universe as listings
from core.cycle.look import sound_market
from core.cycle.run import running_clock
from core.cycle.trial import trials_at
from core.cycle.world import CycleRequest, World
from core.data.bars import completed_sessions
from core.documents import document, plain
from core.errors import Conflict, Unsure
from core.intelligence.advice import effect
from core.intelligence.agreement import agreed
from core.intelligence.facts import OF_A_SYMBOL, SECTORS, facts_of, session_facts
from core.intelligence.sentiment import sentiment_facts
from core.intelligence.signals import CRYPTO, CURRENT_PATH, LIFETIME, STOCKS, fault
from core.intelligence.trial import past_of
from core.model.bars import Bars
from core.model.intelligence import COMPUTED, VALID, Consultation, Fact, FactSheet, News, Purpose, Signal
from core.model.judgement import Refusal
from core.model.market import AssetClass, Timeframe
from core.model.universe import BENCHMARK
from core.modules.module import Universe
from core.ports import Absent, Adviser, AtVersion, Outside, SpareBars, Write
from core.risk.regime import MarketState, regime

log = structlog.get_logger()

RUNS = "intelligence_runs"
NEWS_WINDOW = timedelta(hours=48)
SPARE = "Yahoo"
Rejected = dict[str, str]


def run_intelligence(
    world: World, request: CycleRequest, adviser: Adviser | None, outside: Outside | None = None
) -> dict[str, Any]:
    """Run once and give the report, which is also the stored document; a repeated delivery gives the stored one.

    What was said long enough ago is scored first, and a source that this mutes is not asked. A dry run asks nobody but
    the broker, since an answer costs money, and stores nothing. `Unsure`: deliver again.
    """
    run_path = f"{RUNS}/{request.cycle_id}"
    done, current = world.store.read([run_path, CURRENT_PATH])
    if done is not None:
        return {**done.data, "outcome": "replayed"}
    clock, now = running_clock(world)
    account = world.broker.account()
    if outside is None or request.dry_run:
        outside = Outside()
    sheet, computed, bars = _looked(world, account.account_id, clock.at, now, outside.spare_bars)
    trials = trials_at(world.store, past_of(bars, world.settings.crypto_taker_fee_frac), sheet.as_of)
    if adviser is not None and adviser.source in trials.muted:
        adviser = None
    heard = News()
    if outside.news is not None:
        # What is held comes first: a source of few calls answers for the first symbols alone.
        symbols = tuple(dict.fromkeys((*sheet.held, *sheet.universe)))
        heard = outside.news.headlines(symbols, sheet.as_of - NEWS_WINDOW, sheet.as_of)
    sheet = replace(sheet, facts=(*sheet.facts, *agreed(heard.figures)), headlines=heard.headlines)
    asked = () if adviser is None or request.dry_run else _asked(adviser, sheet)
    if outside.lexicon is not None and not any(each.purpose is Purpose.NEWS and each.status == VALID for each in asked):
        sheet = replace(sheet, facts=(*sheet.facts, *sentiment_facts(heard.headlines, outside.lexicon)))
    signals, rejected = _accepted(computed, asked, sheet, now(), trials.muted)
    report = document(
        {
            **_envelope(sheet, signals, asked),
            "run_id": request.cycle_id,
            "outcome": "dry_run" if request.dry_run else "done",
            "facts": sheet.facts,
            "rejected": rejected,
            "rejected_by_reason": Counter(each["reason"] for each in rejected),
            "headlines": len(heard.headlines),
            "headlines_dropped": heard.dropped,
            "headlines_missing": heard.reason,
            "consultations": [_told(each, rejected) for each in asked],
            "muted": trials.muted,
            "trials": trials.told,
            "origin": world.settings.origin,
            "revision": world.settings.k_revision,
            "config_version": world.settings.config_version,
        },
        account_id=account.account_id,
    )
    if request.dry_run:
        return report
    require = Absent() if current is None else AtVersion(current.version)
    writes = trials.writes(sheet.as_of, account.account_id)
    try:
        world.store.commit([Write(run_path, report, Absent()), Write(CURRENT_PATH, _current(report), require), *writes])
    except Conflict as conflict:
        (done,) = world.store.read([run_path])
        if done is None:
            raise Unsure(f"another run stored its signals in between: {conflict}; deliver again") from conflict
        return {**done.data, "outcome": "replayed"}
    log.info("intelligence_done", status=report["status"], signals=len(signals), rejected=len(rejected))
    return report


def _looked(
    world: World, account_id: str, as_of: datetime, now: Callable[[], datetime], spare_bars: SpareBars | None
) -> tuple[FactSheet, tuple[Signal, ...], dict[str, Bars]]:
    """The fact sheet, what the market is by the broker's bars alone, and by market these bars. A source that is silent
    leaves facts without a value."""
    settings = world.settings
    names = tuple(dict.fromkeys((*settings.traded_stocks, BENCHMARK, *SECTORS)))
    stocks = Universe(names, AssetClass.STOCK, Timeframe.DAY)
    coins = Universe(settings.crypto_symbols, AssetClass.CRYPTO, Timeframe.DAY, follows_sessions=False)
    facts: list[Fact] = []
    computed: list[Signal] = []
    known: dict[str, Bars] = {}
    for market, universe, source in (
        (STOCKS, stocks, f"Alpaca {settings.alpaca_data_feed}"),
        (CRYPTO, coins, "Alpaca"),
    ):
        listing, _ = listings.read(world, "intelligence", universe, account_id, as_of)
        listed = sorted(asset.symbol for asset in listing.assets if asset.tradable)
        _, read, bars, gaps = sound_market(world, universe, listing, listed, as_of, now)
        unlisted = (each for each in universe.symbols if each not in listed)
        absent = (Refusal(each, "universe", "the broker lists no asset of this name") for each in unlisted)
        spare: tuple[Fact, ...] = ()
        if spare_bars is not None and market == STOCKS:
            without = [each for each in listed if (row := read.bars.row(each)) is None or not read.bars.count(row)]
            spare = _spare_facts(world, spare_bars, without, listing, as_of)
        told = {fact.symbol for fact in spare}
        gaps = tuple(each for each in (*gaps, *absent) if each.symbol not in told)
        facts += (*facts_of(bars, universe.asset_class, source=source, gaps=gaps), *spare)
        computed.append(_computed(market, bars, universe.asset_class, as_of))
        known[market] = bars
    # The coins came last: their list serves for their parts of the day as well.
    parts = sound_market(world, replace(coins, timeframe=Timeframe.HOUR_4), listing, listed, as_of, now)[2]
    facts += session_facts(parts, settings.crypto_sessions, source="Alpaca")
    positions = world.broker.positions()
    held = tuple(each.symbol for each in positions if each.asset_class is not AssetClass.OPTION and each.quantity > 0)
    symbols = (*(symbol for bars in known.values() for symbol in bars.symbols), *held)
    return FactSheet(as_of, tuple(facts), tuple(dict.fromkeys(symbols)), held), tuple(computed), known


def _spare_facts(
    world: World, source: SpareBars, symbols: Sequence[str], listing: listings.Listing, as_of: datetime
) -> tuple[Fact, ...]:
    """Of stocks that the broker has no bars of, what the other source's say of each; of the market they say nothing."""
    if not symbols:
        return ()
    found = source.daily_bars(symbols, as_of - listings.CALENDAR_BEHIND, as_of)
    min_bars = world.settings.limits.signals.min_bars
    bars, _ = completed_sessions(found, listing.sessions, as_of=as_of, min_bars=min_bars)
    facts = facts_of(bars, AssetClass.STOCK, source=SPARE)
    own = (fact for fact in facts if fact.name in OF_A_SYMBOL and fact.symbol in bars.symbols)
    return tuple(replace(fact, fetched_at=as_of) for fact in own)


def _computed(market: str, bars: Bars, asset_class: AssetClass, as_of: datetime) -> Signal:
    """What the market is by rules alone. Its confidence is one where it is known: it is computed, not guessed."""
    found = regime(bars, asset_class)
    confidence = 0.0 if found.state is MarketState.UNKNOWN else 1.0
    kind, until = Purpose.MARKET_REGIME, as_of + LIFETIME
    return Signal(kind, market, found.state.value, confidence, found.reason, COMPUTED, as_of, until)


def _asked(adviser: Adviser, sheet: FactSheet) -> tuple[Consultation, ...]:
    """Every purpose once; the risk of positions only where there are any."""
    purposes = (each for each in Purpose if each is not Purpose.POSITION_RISK or sheet.held)
    return tuple(adviser.consult(purpose, sheet) for purpose in purposes)


def _accepted(
    computed: Sequence[Signal],
    asked: Sequence[Consultation],
    sheet: FactSheet,
    as_of: datetime,
    muted: Collection[str],
) -> tuple[tuple[Signal, ...], list[Rejected]]:
    """The second wall: whatever the adviser's own checks did, only signals without a fault are stored."""
    accepted, rejected = list(computed), []
    for consultation in asked:
        for signal in consultation.signals:
            symbols = sheet.held if signal.kind is Purpose.POSITION_RISK else sheet.universe
            reason = fault(signal, symbols=symbols, as_of=as_of, muted=muted)
            if signal.kind is not consultation.purpose or signal.source == COMPUTED:
                reason = "not what was asked"
            if reason is None:
                accepted.append(signal)
            else:
                about = {"source": signal.source, "kind": signal.kind.value, "symbol": signal.symbol[:20]}
                rejected.append({**about, "purpose": consultation.purpose.value, "reason": reason})
    return tuple(accepted), rejected


def _envelope(sheet: FactSheet, signals: Sequence[Signal], asked: Sequence[Consultation]) -> dict[str, Any]:
    """What every document of intelligence begins with."""
    computed = [each for each in signals if each.source == COMPUTED]
    known = sum(fact.value is not None for fact in sheet.facts)
    return {
        "timestamp": sheet.as_of,
        "status": "advised" if len(signals) > len(computed) else "computed" if known else "unavailable",
        "confidence": min(each.confidence for each in signals),
        "reasoning": "; ".join(f"{each.symbol} {each.value}: {each.reasoning}" for each in computed),
        "regime": {each.symbol: each.value for each in computed},
        "signals": [{**plain(each), "effect": effect(each)} for each in signals],
        "facts_known": known,
        "facts_missing": len(sheet.facts) - known,
        "cost_usd": sum((each.cost_usd for each in asked), Decimal(0)),
    }


def _current(report: Mapping[str, Any]) -> dict[str, Any]:
    """`intelligence/current`: the standard envelope around what decisions read."""
    outside = ("schema_version", "account_id", "timestamp", "status", "confidence", "reasoning")
    inside = ("run_id", "regime", "signals", "facts_known", "facts_missing", "cost_usd", "muted")
    return {name: report[name] for name in outside} | {"data": {name: report[name] for name in inside}}


def _told(consultation: Consultation, rejected: Sequence[Rejected]) -> dict[str, Any]:
    """A consultation without its signals, which are told among the others."""
    told: dict[str, Any] = plain(replace(consultation, signals=()))
    lost = sum(each["purpose"] == consultation.purpose for each in rejected)
    reasons = {"rejected": lost + len(consultation.rejected), "rejected_by_adapter": consultation.rejected}
    return {**told, "signals": len(consultation.signals) - lost, **plain(reasons)}
