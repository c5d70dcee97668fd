"""What must hold after a fault run, each as a figure: watched positions, exits in time, one order an intent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from cli.reconcile import placed_orders
from cli.standing import mode_in_force
from core.documents import parsed
from core.execution.ids import purpose_of
from core.model.judgement import Mode
from core.model.orders import Purpose, Side
from core.model.trades import Books
from core.ports import Store
from core.reporting.history import MOST_DOCUMENTS

MOST_PERIODS = 2
"""A position may go without an exit for two of its watcher's periods: one run may fail, the next may not."""
CLEARLY_BELOW = Decimal("0.998")
"""A price so far below a stop is below it on either side of the spread."""
ENTRY_LIVES = timedelta(minutes=4)
Held = Mapping[str, Any]
"""A position of the venue's ledger."""
OPEN = ("new", "accepted", "partially_filled", "pending_cancel")


@dataclass(frozen=True, slots=True)
class Verdict:
    """One check: what was counted, and what is wrong, in words; nothing wrong is a pass."""

    name: str
    figure: str
    wrong: tuple[str, ...] = ()


@dataclass(slots=True)
class Watchman:
    """Looks at the venue after every run. Counts in periods: the runs of a position's watchers, by their due times.

    `exposed`: periods in a row in which no watcher of the position finished and no stop rested at the broker.
    `crossed`: periods since the price was seen below the stop while no order was on its way to close it. Stocks and
    options have no exit to miss while their market is closed.
    """

    store: Store
    is_market_open: Callable[[], bool]
    exposed: Counter[str] = field(default_factory=Counter)
    crossed: dict[str, int] = field(default_factory=dict)
    longest_exposure: int = 0
    longest_wait: int = 0
    crossings: Counter[Mode] = field(default_factory=Counter)
    wrong_exposures: list[str] = field(default_factory=list)
    wrong_waits: list[str] = field(default_factory=list)
    _seen: dict[str, tuple[datetime, bool]] = field(default_factory=dict)

    def after_run(
        self, asset_classes: Iterable[str], due: datetime, is_finished: bool, ledger: Mapping[str, Any], at: datetime
    ) -> None:
        """A watcher of these asset classes ended its run of this due time, finished or given up."""
        for asset_class in asset_classes:
            last_due, was_watched = self._seen.get(asset_class, (due, True))
            is_new_period = last_due != due
            self._seen[asset_class] = (due, is_finished or (was_watched and not is_new_period))
            held = [item for item in ledger["positions"] if class_of(item["symbol"]) == asset_class]
            if held and asset_class != "crypto" and not self.is_market_open():
                continue
            for gone in {symbol for symbol in self.exposed if class_of(symbol) == asset_class} - _names(held):
                del self.exposed[gone]
            self._expose(held, ledger, last_due, is_new_period and not was_watched)
            self._cross(asset_class, held, ledger, due, at, is_new_period)

    def verdicts(self) -> tuple[Verdict, Verdict]:
        reducing = self.crossings[Mode.REDUCING]
        return (
            Verdict(
                "positions without an exit, longest",
                f"{self.longest_exposure + 1} periods, at most {MOST_PERIODS} allowed",
                tuple(self.wrong_exposures),
            ),
            Verdict(
                "exits after a crossed stop, slowest",
                f"{self.longest_wait} periods; {self.crossings.total()} crossed, {reducing} of them in a halt",
                tuple(self.wrong_waits),
            ),
        )

    def _expose(self, held: Sequence[Held], ledger: Mapping[str, Any], last_due: datetime, was_missed: bool) -> None:
        """A period is missed once the next has begun, since several runs of one minute may look after a position."""
        for position in held:
            symbol = position["symbol"]
            if _stopped_quantity(symbol, ledger) >= abs(Decimal(position["qty"])):
                self.exposed[symbol] = 0
                continue
            self.exposed[symbol] += was_missed
            self.longest_exposure = max(self.longest_exposure, self.exposed[symbol])
            if was_missed and self.exposed[symbol] == MOST_PERIODS:
                self.wrong_exposures.append(f"{symbol} was unwatched in the two runs up to {last_due:%Y-%m-%d %H:%M}")
            if self._seen[class_of(symbol)][1]:
                self.exposed[symbol] = 0

    def _cross(
        self,
        asset_class: str,
        held: Sequence[Held],
        ledger: Mapping[str, Any],
        due: datetime,
        at: datetime,
        is_new: bool,
    ) -> None:
        (stored,) = self.store.read(["books/current"])
        trades = () if stored is None else parsed(Books, stored).open_trades
        stops = {trade.symbol: trade.stop_price for trade in trades if trade.stop_price and trade.side is Side.BUY}
        below = {
            item["symbol"]
            for item in held
            if item["symbol"] in stops
            and item["last_price"] is not None
            and Decimal(item["last_price"]) < stops[item["symbol"]] * CLEARLY_BELOW
        }
        for symbol in {name for name in self.crossed if class_of(name) == asset_class} - below:
            del self.crossed[symbol]
        for symbol in below:
            if symbol not in self.crossed:
                self.crossed[symbol] = 0
                self.crossings[mode_in_force(self.store, at).mode] += 1
            elif _is_leaving(symbol, ledger):
                # An order that then expires unfilled, as a fraction's does where only days are recorded, counts anew.
                self.crossed[symbol] = 0
            elif is_new:
                self.crossed[symbol] += 1
                self.longest_wait = max(self.longest_wait, self.crossed[symbol])
                if self.crossed[symbol] == MOST_PERIODS + 1:
                    self.wrong_waits.append(f"{symbol} was below its stop and not sold by {due:%Y-%m-%d %H:%M}")


def orders_verdict(store: Store, ledger: Mapping[str, Any]) -> Verdict:
    """One order at the venue for each intent that was sent, one intent for each purpose of a cycle, one entry at a
    time."""
    placed = placed_orders(ledger)
    intents = {
        str(stored.data["client_order_id"]): stored.data
        for stored in store.recent("orders", order_by="created_at", limit=MOST_DOCUMENTS)
    }
    wrong = [f"order {order['client_order_id']} answers to no intent" for order in placed if _id(order) not in intents]
    wrong += [f"{name} was placed {n} times" for name, n in Counter(map(_id, placed)).items() if n > 1]
    sent = [intents[_id(order)] for order in placed if _id(order) in intents]
    meant = Counter((data["cycle_id"], data["symbol"], data["purpose"]) for data in sent if data["symbol"])
    wrong += [f"{' '.join(what)} was ordered {n} times" for what, n in meant.items() if n > 1]
    last_entry: dict[str, datetime] = {}
    for order in sorted(placed, key=lambda order: order["sequence"]):
        if purpose_of(_id(order)) is not Purpose.ENTRY or not order["symbol"]:
            continue
        at, before = datetime.fromisoformat(order["submitted_at"]), last_entry.get(order["symbol"])
        if before is not None and at - before < ENTRY_LIVES:
            wrong.append(f"{order['symbol']} was entered twice, at {before:%Y-%m-%d %H:%M:%S} and at {at:%H:%M:%S}")
        last_entry[order["symbol"]] = at
    return Verdict("orders without an intent of their own", f"{len(wrong)} of {len(placed)}", tuple(wrong))


def halts_verdict(store: Store) -> Verdict:
    """No exit, trim or protection was left unsent because entries were halted."""
    kept_in = [
        f"{stored.data['client_order_id']}: {stored.data['note']}"
        for stored in store.recent("orders", order_by="created_at", limit=MOST_DOCUMENTS)
        if stored.data["purpose"] != Purpose.ENTRY and str(stored.data["note"]).startswith(f"mode is {Mode.REDUCING}")
    ]
    return Verdict("exits that a halt kept in", str(len(kept_in)), tuple(kept_in))


def class_of(symbol: str) -> str:
    """crypto, stocks or options, as the venue writes the symbol."""
    if "/" in symbol:
        return "crypto"
    return "options" if any(letter.isdigit() for letter in symbol) else "stocks"


def _id(order: Mapping[str, Any]) -> str:
    return str(order["client_order_id"])


def _names(held: Sequence[Held]) -> set[str]:
    return {item["symbol"] for item in held}


def _stopped_quantity(symbol: str, ledger: Mapping[str, Any]) -> Decimal:
    """What stops resting at the venue would sell; one that is held waits for its bracket's entry or target."""
    stops = [
        Decimal(order["qty"]) - Decimal(order["filled_qty"])
        for order in ledger["orders"]
        if order["symbol"] == symbol and order["order_type"] == "stop" and order["status"] in (*OPEN, "held")
    ]
    return sum(stops, Decimal(0))


def _is_leaving(symbol: str, ledger: Mapping[str, Any]) -> bool:
    """Whether an order that closes the position is working at the venue, a stop of stocks included."""
    return any(
        order["symbol"] == symbol
        and order["side"] == "sell"
        and order["status"] in (*OPEN, "held")
        and order["order_type"] in ("market", "stop")
        for order in ledger["orders"]
    )
