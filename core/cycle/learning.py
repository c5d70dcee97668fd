"""The nightly learning run: samples from history and own trades, train, promote what earns it, demote what drifts, and
set parameters by what our own trades came to.

It sends no order and takes no lease. Without a promoted model every decision is as it would be without this run.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import structlog

from core.cycle.world import CycleRequest, World
from core.data.bars import completed, completed_sessions
from core.documents import document, parsed, plain
from core.errors import BadFacts, BadRequest, BrokerRefused, Conflict
from core.indicators import features
from core.ml.drift import drift_of
from core.ml.models import FAMILIES, SEED, Family
from core.ml.optimiser import applied, proposal
from core.ml.parameters import learned
from core.ml.pointer import path_of
from core.ml.registry import Candidate, champion_of, promote, rollback, train
from core.ml.samples import Samples, bootstrap, merged, of_trades, without_those_of
from core.model.bars import Bars
from core.model.market import AssetClass, Quote, Timeframe
from core.model.trades import Trade
from core.modules import CLASSES, module_named
from core.ports import Absent, Document, Write
from core.schedules import LEARN
from core.strategies import GENERAL

log = structlog.get_logger()

RUNS = "learning_runs"
HISTORY = timedelta(days=5 * 365)
LEARNERS: tuple[Family, ...] = tuple(family for family in FAMILIES if not family.takes_sequences)
"""What a function trains; networks are trained by hand, as PyTorch is not deployed."""
LEARNED = ("crypto", "stocks")
MOST_TRADES = 5_000
DAY_HOURS = 24.0
BY = "learn"


def run_learning(world: World, request: CycleRequest, *, families: Sequence[Family] = LEARNERS) -> dict[str, Any]:
    """Learn for every module and give the report, which is also stored; a repeated delivery gives the stored one.

    A module that nothing can be learned for says why, and the others go on. `Unsure`: deliver again; what is done
    twice comes to the same. A dry run reads and trains nothing.
    """
    path = f"{RUNS}/{request.cycle_id}"
    (done,) = world.store.read([path])
    if done is not None:
        return {**done.data, "outcome": "replayed"}
    clock, account = world.broker.clock(), world.broker.account()
    stored_trades = world.store.recent("trades", order_by="opened_at", limit=MOST_TRADES)
    trades = [trade for each in stored_trades if (trade := _trade(each)) is not None]
    report: dict[str, Any] = {
        "outcome": "dry_run" if request.dry_run else "done",
        "cycle_id": request.cycle_id,
        "as_of": clock.at,
        "closed_trades": sum(not trade.is_open for trade in trades),
        "revision": world.settings.k_revision,
    }
    if request.dry_run:
        return plain(report)  # type: ignore[no-any-return]
    report["modules"] = [_learned(world, name, trades, families, clock.at) for name in LEARNED]
    stored = document(report, account_id=account.account_id)
    try:
        beat = Write(f"heartbeats/{LEARN.name}", document({"at": clock.at}, account_id=account.account_id))
        world.store.commit([Write(path, stored, Absent()), beat])
    except Conflict:
        log.warning("learning_ran_twice", cycle_id=request.cycle_id)
    log.info("learning_done", cycle_id=request.cycle_id)
    return stored


def _trade(stored: Document) -> Trade | None:
    try:
        return parsed(Trade, stored)
    except BadFacts as error:
        log.warning("trade_left_out", trade=stored.path, error=str(error))
        return None


def _learned(
    world: World, name: str, trades: Sequence[Trade], families: Sequence[Family], as_of: datetime
) -> dict[str, Any]:
    own = [trade for trade in trades if trade.asset_class is CLASSES[name]]
    told: dict[str, Any] = {"module": name, "demoted": "", "kept_champion": ""}
    told |= _parameters(world, name, own, as_of)
    try:
        told["demoted"] = _demoted(world, name, own, as_of)
        samples = _samples(world, name, own, as_of)
        candidate = train(
            world.store,
            world.blobs,
            name,
            samples,
            families,
            at=as_of,
            revision=world.settings.k_revision,
            seed=SEED,
        )
        promoted, told["kept_champion"] = _promoted(world, candidate, as_of)
    except (BadFacts, BrokerRefused, Conflict) as reason:
        return {**told, "status": "nothing_learned", "reason": str(reason), "promoted": ""}
    figures = [
        {"family": each.family, "auc": each.auc, "brier": each.brier, "base_brier": each.base_brier}
        | {"refused": list(each.refused)}
        for each in candidate.evaluations
    ]
    status = "promoted" if promoted else "not_promoted"
    return {**told, "status": status, "samples": len(samples), "families": figures, "promoted": promoted, "reason": ""}


def _parameters(world: World, name: str, own: Sequence[Trade], as_of: datetime) -> dict[str, str]:
    """The parameter that was changed, and why, or why none was."""
    length = module_named(name).universe(world.settings).timeframe.length
    bar_hours = length.total_seconds() / 3600
    try:
        (stored,) = world.store.read([path_of(name)])
        samples, _ = of_trades(own, bar_hours=bar_hours)
        change = proposal(name, samples, learned(stored, as_of), bar_hours=bar_hours, at=as_of, seed=SEED, by=BY)
        if isinstance(change, str):
            return {"parameter": "", "parameter_reason": change}
        applied(world.store, change)
    except Conflict as error:
        return {"parameter": "", "parameter_reason": f"changed meanwhile, so the next night decides: {error}"}
    except BadFacts as error:
        return {"parameter": "", "parameter_reason": str(error)}
    return {"parameter": f"{change.name} {change.after:g}", "parameter_reason": change.why}


def _promoted(world: World, candidate: Candidate, as_of: datetime) -> tuple[str, str]:
    """The family that was put in force, empty where the gate is shut, and why the champion stays where it does."""
    best = candidate.best
    if best is None:
        return "", ""
    try:
        promote(world.store, candidate.name, best.family, at=as_of, by=BY)
    except BadRequest as reason:
        return "", str(reason)
    return best.family, ""


def _demoted(world: World, name: str, trades: Sequence[Trade], as_of: datetime) -> str:
    """Why the model in force was taken out of it, empty where it was not."""
    champion = champion_of(world.store, name)
    if champion is None:
        return ""
    reason = drift_of([trade for trade in trades if trade.opened_at >= champion.in_force_since])
    if reason:
        rollback(world.store, name, at=as_of, by=BY)
        log.warning("model_demoted", model=name, family=champion.family, reason=reason)
    return reason


def _samples(world: World, name: str, trades: Sequence[Trade], as_of: datetime) -> Samples:
    """Every entry that the strategies would have asked for in five years, and every trade that was really made."""
    bars, quotes = _history(world, name, as_of)
    spreads = {quote.symbol: quote.spread_frac for quote in quotes if 0 < quote.bid <= quote.ask}
    known = np.array([float(spreads[symbol]) if symbol in spreads else np.nan for symbol in bars.symbols])
    limits = world.settings.limits
    terms = limits if CLASSES[name] is AssetClass.CRYPTO else limits.stocks
    learned = bootstrap(
        bars,
        features(bars),
        GENERAL,
        # Today's spread of each symbol for all of its past, which was not recorded.
        spread_frac=np.repeat(known[:, None], bars.close.shape[1], axis=1),
        exits=terms.exits,
        costs=terms.costs,
        signals=limits.signals,
    )
    own, _ = of_trades(trades, bar_hours=DAY_HOURS)
    return merged([without_those_of(learned, own), own], learned.source) if len(own) else learned


def _history(world: World, name: str, as_of: datetime) -> tuple[Bars, tuple[Quote, ...]]:
    settings = world.settings
    is_crypto = CLASSES[name] is AssetClass.CRYPTO
    symbols = settings.crypto_symbols if is_crypto else settings.traded_stocks
    listed = world.broker.assets(CLASSES[name], symbols)
    tradable = sorted(asset.symbol for asset in listed if asset.tradable)
    market = world.data.market(CLASSES[name], tradable, timeframe=Timeframe.DAY, start=as_of - HISTORY, end=as_of)
    least = settings.limits.signals.min_bars
    if is_crypto:
        return completed(market.bars, as_of=as_of, min_bars=least)[0], market.quotes
    sessions = world.broker.sessions((as_of - HISTORY).date(), as_of.date())
    return completed_sessions(market.bars, sessions, as_of=as_of, min_bars=least)[0], market.quotes
