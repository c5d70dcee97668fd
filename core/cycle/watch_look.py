"""What the position monitor sees: one look at everything held, brought up to date by quotes as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from core.control import MODE_PATH
from core.cycle import claim as claiming
from core.cycle.alarms import exit_alarms
from core.cycle.look import BrokerFacts, market_facts
from core.cycle.records import abandoned
from core.cycle.run import decision_of, listing_of, running_clock, settled_past
from core.cycle.universe import path_of
from core.cycle.world import CycleRequest, World
from core.errors import FAULTS, BadFacts, CronfolioError
from core.intelligence.signals import CURRENT_PATH
from core.model.judgement import Decision, Mode, ModeState, Refusal, Snapshot
from core.model.market import AssetClass, Quote
from core.model.options import requoted, underlying_of
from core.model.orders import Position
from core.model.trades import Books
from core.modules import CLASSES
from core.ports import Write

log = structlog.get_logger()

MOST_AHEAD = timedelta(seconds=5)
"""A quote's time further ahead of the broker's clock is wrong, but for a venue of our own, whose time may jump."""
SETTLE = "settle"
"""The wish of a look that saw what the books lack."""

Wishes = tuple[str, ...]
"""What a cycle of a module would do, in words that stay the same while it would do the same."""


@dataclass(frozen=True, slots=True)
class Sight:
    """What is held and what must be done about it, by module. `seen_s`: when the newest of it came, by `elapsed_s`.

    `writes`: lists of assets that were read anew and may be kept. `doubts`: why a module could not be judged.
    `most_ahead`: how far a quote's time may be ahead of `now`.
    """

    facts: BrokerFacts
    mode: ModeState
    snapshots: Mapping[str, Snapshot]
    wanted: Mapping[str, Wishes]
    refusals: tuple[Refusal, ...]
    alarms: tuple[str, ...]
    writes: tuple[Write, ...]
    doubts: Mapping[str, CronfolioError]
    now: Callable[[], datetime]
    most_ahead: timedelta
    looked_s: float
    seen_s: float

    def held(self, kind: AssetClass) -> list[str]:
        return [position.symbol for position in self.facts.positions if position.asset_class is kind]

    def streamed(self) -> dict[AssetClass, list[str]]:
        """The symbols whose quotes judge what is held, by class: contracts by their underlyings' as well.

        An adjusted contract names no underlying, and one such name has the whole subscription refused.
        """
        contracts = [symbol for symbol in self.held(AssetClass.OPTION) if underlying_of(symbol) != symbol]
        stocks = dict.fromkeys([*self.held(AssetClass.STOCK), *map(underlying_of, contracts)])
        found = {
            AssetClass.CRYPTO: self.held(AssetClass.CRYPTO),
            AssetClass.STOCK: list(stocks),
            AssetClass.OPTION: contracts,
        }
        return {kind: symbols for kind, symbols in found.items() if symbols}

    def lacks_quotes(self) -> bool:
        """Whether options are held that quotes alone do not judge: without near ones on both sides the broker's price
        of the position counts, which is had by looking."""
        if not self.held(AssetClass.OPTION) or not self.facts.clock.is_open:
            return False
        from core.modules.options.held import structures

        known = [snapshot for module, snapshot in self.snapshots.items() if CLASSES[module] is AssetClass.OPTION]
        return not known or not all(held.is_tight for group in structures(known[0])[0] for held in group)


def modules_of(positions: Iterable[Position], books: Books | None) -> tuple[str, ...]:
    """The modules with something to look after: a position, an open trade or an order that may still fill."""
    kinds = {position.asset_class for position in positions}
    if books is not None:
        kinds |= {trade.asset_class for trade in books.open_trades}
        kinds |= {record.intent.asset_class for record in books.unsettled}
    return tuple(name for name, kind in CLASSES.items() if kind in kinds)


def look(world: World, watch_id: str, modules: Sequence[str]) -> Sight:
    """Read the account and these modules' markets, and judge exits as their cycles do; nothing is claimed or sent."""
    seen_s = world.elapsed_s()
    clock, now = running_clock(world)
    account = world.broker.account()
    common = (MODE_PATH, claiming.LEASE_PATH, claiming.BOOKS_PATH, claiming.HEARTBEAT_PATH, CURRENT_PATH)
    mode_stored, lease, books_stored, beat, advice, *lists = world.store.read([*common, *map(path_of, modules)])
    stored = claiming.Stored(mode_stored, lease, None, books_stored, None, beat, advice)
    books, mode = claiming.books_and_mode(stored, account, clock.at)
    facts, past = settled_past(world, account, books, mode, clock)
    lost = abandoned(past.books, "", clock.at)[1]
    snapshots: dict[str, Snapshot] = {}
    wanted: dict[str, Wishes] = dict.fromkeys(modules, ())
    refusals: list[Refusal] = []
    writes: list[Write] = []
    doubts: dict[str, CronfolioError] = {}
    for module, universe in zip(modules, lists, strict=True):
        cycle = CycleRequest(watch_id, module, exits_only=True)
        try:
            listing, fresh = listing_of(world, cycle, replace(stored, universe=universe), facts)
            snapshot, _ = market_facts(world, cycle, facts, past.books, mode, listing, now, advice)
            decision = decision_of(facts, snapshot, cycle)
        except FAULTS as fault:
            doubts[module] = doubt_of(module, fault)
            continue
        snapshots[module], wanted[module] = snapshot, _wishes(decision, mode)
        refusals += decision.refusals
        writes += fresh
    has_moved = past.trades or lost or any(record.is_over for record in past.orders)
    if has_moved and snapshots and not any(wanted.values()):
        wanted[next(iter(snapshots))] = (SETTLE,)
    watched = {**stored.watched(clock.at), **dict.fromkeys(snapshots, clock.at)}
    return Sight(
        facts=facts,
        mode=mode,
        snapshots=snapshots,
        wanted=wanted,
        refusals=tuple(refusals),
        alarms=exit_alarms(facts, past.books, mode, "", watched, lambda: bool(clock.is_open)),
        writes=tuple(writes),
        doubts=doubts,
        now=now,
        most_ahead=MOST_AHEAD if world.settings.origin == "paper" else timedelta.max,
        looked_s=world.elapsed_s(),
        seen_s=seen_s,
    )


def doubt_of(module: str, fault: Exception) -> CronfolioError:
    """Why nothing could be done about a module's positions; told, so that no fault of one module is silent."""
    if isinstance(fault, CronfolioError):
        log.warning("module_in_doubt", module=module, error=str(fault))
        return fault
    log.error("module_in_doubt", module=module, exc_info=fault)
    return BadFacts(f"what is known of {module} cannot be judged: {fault!r}")


def with_quotes(sight: Sight, quotes: Sequence[Quote], seen_s: float) -> tuple[Sight, int]:
    """The sight at the time of these quotes, judged anew where they change it; and how many were not to be trusted."""
    now = sight.now()
    snapshots, wanted, doubts = dict(sight.snapshots), dict(sight.wanted), dict(sight.doubts)
    trusted: set[int] = set()
    for module, snapshot in sight.snapshots.items():
        held = sight.held(CLASSES[module])
        names = {*held, *map(underlying_of, held)}
        own = [quote for quote in quotes if quote.symbol in names and _is_sound(quote, snapshot, now, sight.most_ahead)]
        trusted.update(map(id, own))
        if own:
            snapshots[module] = quoted(snapshot, own, max(now, *(quote.as_of for quote in own)))
            cycle = CycleRequest(snapshot.cycle_id, module, exits_only=True)
            try:
                wanted[module] = _wishes(decision_of(sight.facts, snapshots[module], cycle), sight.mode)
            except FAULTS as fault:
                doubts[module] = doubt_of(module, fault)
    sight = replace(sight, snapshots=snapshots, wanted=wanted, doubts=doubts, seen_s=seen_s)
    return sight, len(quotes) - len(trusted)


def quoted(snapshot: Snapshot, quotes: Sequence[Quote], at: datetime) -> Snapshot:
    """The snapshot at this moment, with each of these quotes that is no older than the one it has, unless that is of
    after this moment: of contracts in their chain, where it has them."""
    known = dict(snapshot.quotes)
    for quote in quotes:
        is_contract = underlying_of(quote.symbol) != quote.symbol
        before = known.get(quote.symbol)
        if not is_contract and (before is None or not quote.as_of < before.as_of <= at):
            known[quote.symbol] = quote
    chains = {name: requoted(chain, quotes, at) for name, chain in snapshot.chains.items()}
    return replace(snapshot, as_of=at, quotes=known, chains=chains)


def _is_sound(quote: Quote, snapshot: Snapshot, now: datetime, most_ahead: timedelta) -> bool:
    """Sides that can be, and a time for the judgement to go by. A contract may have no buyer or no seller, which the
    broker tells by a zero, and must stand in the chain that was looked at."""
    bid, ask, limits = quote.bid, quote.ask, snapshot.limits
    if not (bid.is_finite() and ask.is_finite()):
        return False
    is_of_options = CLASSES[snapshot.module] is AssetClass.OPTION
    most_s = limits.options.max_quote_age_s if is_of_options else limits.signals.max_quote_age_s
    if (now - quote.as_of).total_seconds() > most_s or quote.as_of - now > most_ahead:
        return False
    underlying = underlying_of(quote.symbol)
    if underlying == quote.symbol:
        return 0 < bid <= ask
    chain = snapshot.chains.get(underlying)
    return chain is not None and quote.symbol in chain.symbols and bid >= 0 and (ask == 0 or bid <= ask)


def _wishes(decision: Decision, mode: ModeState) -> Wishes:
    """Orders and cancels; HALTED sends none."""
    if mode.mode is Mode.HALTED:
        return ()
    orders = (f"{intent.purpose} {intent.symbol}" for intent in decision.intents)
    return (*orders, *(f"cancel {order_id}" for order_id in decision.cancel_order_ids))
