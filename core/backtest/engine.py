"""A backtest: every cycle of a schedule over a recording, in this process. What a cycle believes, decides, books and
sends is the live cycle's own code; only the exchange, the clock and the state are in memory.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from core.backtest.exchange import Ledger, SimulatedExchange
from core.backtest.facts import RecordedMarket, Sights
from core.backtest.recording import Recording
from core.control import in_force
from core.cycle import universe as listings
from core.cycle.alarms import exit_alarms
from core.cycle.evidence import judged
from core.cycle.look import BrokerFacts, Sight, looked_at, market_facts, snapshot_of, untradable
from core.cycle.records import abandoned, planned, to_cancel, with_records, with_rejections
from core.cycle.run import settled_past, settled_present
from core.cycle.world import CycleRequest, World
from core.errors import FAULTS
from core.execution.executor import act, cancel
from core.execution.follow import fees_are_due
from core.model.judgement import Decision, Mode, ModeState, Refusal, Snapshot
from core.model.market import AssetClass, Clock
from core.model.orders import OrderStatus
from core.model.trades import ZERO, Books, OrderRecord, Trade
from core.modules import CLASSES, module_named
from core.reporting.history import BROKER, CycleFacts, History
from core.settings import Settings
from core.units import cents


@dataclass(frozen=True, slots=True)
class Due:
    """One cycle of the schedule; `job` and time name it, as a delivery of the scheduler would."""

    at: datetime
    job: str
    module: str

    @property
    def cycle_id(self) -> str:
        return f"{self.job}-{self.at:%Y-%m-%dT%H:%M:%SZ}"


Operator = Callable[[ModeState, datetime], ModeState | None]
"""A person: what a mode that a breaker set is changed to at the end of a cycle, or None."""

Watcher = Callable[[Snapshot, Decision], None]


@dataclass(frozen=True, slots=True)
class Setup:
    """What is run: the cycles in the order of time, under these settings, with an account of this cash since `start`.
    `is_plain`: nothing is worked out beforehand, each cycle looks as a live one does; slower, and decided alike."""

    settings: Settings
    start: datetime
    cash_usd: Decimal
    due: tuple[Due, ...]
    operator: Operator | None = None
    is_plain: bool = False


@dataclass(frozen=True, slots=True)
class Backtest:
    """What a run came to, and the exchange's own ledger of it. `ended_early`: why not all cycles were run, empty where
    they were; what had been done until then is here all the same."""

    history: History
    ledger: Ledger
    books: Books | None
    mode: ModeState
    ended_early: str = ""


def backtest(
    setup: Setup,
    recording: Recording,
    *,
    progress: Callable[[CycleFacts], None] | None = None,
    watch: Watcher | None = None,
) -> Backtest:
    """Run every cycle that is due. `progress` is told of each; `watch` sees what it decided on, and what.

    Ctrl-C, and an error in the code that decides, end the run and keep what it did: `ended_early` says where it was.
    """
    run = _Run(setup, recording, watch)
    ended_early = ""
    due = None
    was_collecting = gc.isenabled()
    gc.disable()  # cycles make thousands of values and no circles of them, so that there is no garbage to search for
    try:
        for due in setup.due:
            facts = run.cycle(due)
            if progress is not None:
                progress(facts)
    except KeyboardInterrupt:
        ended_early = f"stopped by hand after {len(run.cycles):,} of {len(setup.due):,} cycles"
    except FAULTS as fault:
        notes = "".join(f" ({note})" for note in getattr(fault, "__notes__", ()))
        ended_early = f"{due.cycle_id if due else 'the first cycle'} failed{notes}: {type(fault).__name__}: {fault}"
    finally:
        if was_collecting:
            gc.enable()
    ledger = run.exchange.ledger()
    trades = sorted(run.trades.values(), key=lambda trade: (trade.opened_at, trade.trade_id))
    history = History(tuple(run.cycles), tuple(trades))
    return Backtest(history, ledger, run.books, run.mode, ended_early)


class _Run:
    def __init__(self, setup: Setup, recording: Recording, watch: Watcher | None) -> None:
        self._setup, self._watch = setup, watch
        self.exchange = SimulatedExchange(recording, setup.start, setup.cash_usd)
        self.mode = ModeState(Mode.ACTIVE, "first run of this account", "cronfolio", setup.start)
        self.books: Books | None = None
        self.trades: dict[str, Trade] = {}
        self.cycles: list[CycleFacts] = []
        self._listings: dict[str, listings.Listing] = {}
        self._watched: dict[str, datetime] = {}
        self._limits = {name: setup.settings.limits_of(name) for name in CLASSES}
        self._sights = {} if setup.is_plain else dict(_sights(setup, recording))
        nowhere: Any = None  # a backtest keeps no documents and hears no stream: what asks for these fails at once
        self._world = World(
            store=nowhere,
            blobs=nowhere,
            broker=self.exchange,
            data=RecordedMarket(recording, self.exchange.quotes, self.exchange.last_trades),
            options=self.exchange,
            open_stream=nowhere,
            settings=setup.settings,
            owner="backtest",
            elapsed_s=lambda: 0.0,
            wait=lambda _: None,
        )

    def cycle(self, due: Due) -> CycleFacts:
        """One cycle from its clock to its facts, as `core.cycle.run` goes through it."""
        self.exchange.advance(due.at)
        cycle_id, clock = due.cycle_id, self.exchange.clock()
        request = CycleRequest(cycle_id, due.module)
        as_of, mode = clock.at, in_force(self.mode, clock.at)
        facts, past = settled_past(self._world, self.exchange.account(), self.books, mode, clock)
        books, lost = abandoned(past.books, cycle_id, as_of)
        listing = self._listing(request, facts)
        snapshot = self._looked(request, facts, books, mode, listing, clock)
        decision = judged(snapshot, exits_only=False, unread=facts.unread)
        if self._watch is not None:
            self._watch(snapshot, decision)
        self.mode = mode = decision.breaker or mode
        records = (*planned(decision, cycle_id, as_of), *to_cancel(decision, books, as_of))
        books = with_records(books, records)
        cancel(decision.cancel_order_ids, self.exchange, lambda: mode)
        sent = act(
            records[: len(decision.intents)],
            broker=self.exchange,
            known={order.client_order_id: order for order in facts.orders},
            resumed=False,
            guard=lambda: mode,
            now=lambda: as_of,
            wait=self._world.wait,
        )
        present = settled_present(self._world, with_records(books, sent), facts, sent)
        self.books = with_rejections(present.books, (*past.orders, *lost, *sent, *present.orders), as_of)
        if not decision.intents and not decision.cancel_order_ids:
            self._refresh(request, facts, books)
        for settlement in (past, present):
            self.trades |= {trade.trade_id: trade for trade in settlement.trades}
        alarms = exit_alarms(facts, past.books, mode, due.module, self._watched, lambda: bool(clock.is_open))
        self._watched[due.module] = as_of
        self.cycles.append(_facts_of(due, snapshot, facts, mode, decision, sent, alarms))
        if self._setup.operator is not None:
            self.mode = self._setup.operator(self.mode, as_of) or self.mode
        return self.cycles[-1]

    def _looked(
        self,
        request: CycleRequest,
        facts: BrokerFacts,
        books: Books,
        mode: ModeState,
        listing: listings.Listing,
        clock: Clock,
    ) -> Snapshot:
        """The snapshot; of a market whose bars are not all worked out, as a live cycle makes it."""
        settings = self._setup.settings
        universe = module_named(request.module).universe(settings)
        symbols, sights = looked_at(universe, listing, facts.positions), self._sights.get(request.module)
        if sights is None or not sights.knows(symbols):
            return market_facts(self._world, request, facts, books, mode, listing, lambda: clock.at)[0]
        bars, features, gaps = sights.at(clock.at, symbols)
        sight = Sight(
            bars,
            features,
            self.exchange.quotes(symbols),
            self.exchange.last_trades(symbols),
            (*gaps, *untradable(universe, listing)),
        )
        return snapshot_of(request, universe, facts, books, mode, listing, sight, self._limits[request.module])

    def _listing(self, request: CycleRequest, facts: BrokerFacts) -> listings.Listing:
        """The broker's lists, which serve for three days."""
        kept = self._listings.get(request.module)
        if kept is None or (facts.as_of.date() - kept.day).days > listings.MOST_DAYS_KEPT:
            self._read_listing(request, facts)
        return self._listings[request.module]

    def _refresh(self, request: CycleRequest, facts: BrokerFacts, books: Books) -> None:
        """The day's reading of the lists, in a cycle that has nothing else to do."""
        is_busy = facts.activities is not None or fees_are_due(books, facts.as_of)
        if not is_busy and self._listings[request.module].day != facts.as_of.date():
            self._read_listing(request, facts)

    def _read_listing(self, request: CycleRequest, facts: BrokerFacts) -> None:
        universe = module_named(request.module).universe(self._setup.settings)
        self._listings[request.module], _ = listings.asked(self.exchange, universe, facts.as_of)


def _sights(setup: Setup, recording: Recording) -> Iterator[tuple[str, Sights]]:
    """What each module sees at each of its cycles; of options it is read when it is asked for."""
    for name in dict.fromkeys(due.module for due in setup.due):
        universe = module_named(name).universe(setup.settings)
        symbols = sorted(
            symbol
            for symbol in universe.symbols
            if symbol in recording.series and recording.series[symbol].asset_class is universe.asset_class
        )
        if symbols and not universe.has_chains:
            times = [due.at for due in setup.due if due.module == name]
            yield name, Sights(recording, universe, symbols, times, setup.settings.limits.signals)


def _facts_of(
    due: Due,
    snapshot: Snapshot,
    facts: BrokerFacts,
    mode: ModeState,
    decision: Decision,
    sent: Sequence[OrderRecord],
    alarms: Sequence[str],
) -> CycleFacts:
    """What a receipt would tell of the cycle, but for the time it took."""
    refused = (record for record in sent if record.status is OrderStatus.REJECTED)
    seen = {view.symbol: view.facts for view in decision.views}
    invested_usd = dict.fromkeys(AssetClass, ZERO)
    for position in facts.positions:
        invested_usd[position.asset_class] += position.market_value_usd
    return CycleFacts(
        module=due.module,
        as_of=facts.as_of,
        equity_usd=cents(facts.account.equity_usd),
        cash_usd=cents(facts.account.cash_usd),
        invested_usd={kind: cents(value) for kind, value in invested_usd.items()},
        mode=mode.mode,
        mode_by=mode.by,
        mode_reason=mode.reason,
        mode_at=mode.at,
        quotes={
            symbol: (quote.bid, quote.ask) for symbol in seen if (quote := snapshot.quotes.get(symbol)) is not None
        },
        refusals=(
            *sorted(decision.refusals, key=_in_order_of((*seen, *(each.symbol for each in decision.refusals)))),
            *(Refusal(record.intent.symbol, BROKER, record.note) for record in refused),
        ),
        duration_ms=None,
        alarms=tuple(alarms),
        could_see=due.module != "options" or any("outlook" in own for own in seen.values()),
        regime=next((str(own["regime"]) for own in seen.values() if "regime" in own), ""),
    )


def _in_order_of(symbols: Sequence[str]) -> Callable[[Refusal], int]:
    """A receipt tells refusals symbol by symbol."""
    place = {symbol: index for index, symbol in enumerate(dict.fromkeys(symbols))}
    return lambda refusal: place[refusal.symbol]
