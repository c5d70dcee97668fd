"""The floor of the simulated exchange: its clock, the orders in the market, and the bars that fill them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from decimal import Decimal
from enum import IntEnum

from core.backtest import matching
from core.backtest.account import AccountBooks
from core.backtest.account_margin import Holding, by_underlying, requirement
from core.backtest.chains import RecordedChains, parsed
from core.backtest.orders import Placed, Role
from core.backtest.quotes import ZERO, Calendar, Tape
from core.backtest.recording import Recording
from core.model.orders import OrderStatus, OrderType, TimeInForce


class Moment(IntEnum):
    """What happens first at one instant: bars end, orders expire at the close, the next bars begin."""

    BAR_END = 0
    EXPIRY = 1
    BAR_OPEN = 2


class Floor:
    """The state that orders change; only `core.backtest` sees it. `version` moves with every change of an order."""

    def __init__(self, recording: Recording, start_us: int, cash_usd: Decimal) -> None:
        self.now_us = start_us
        self.calendar = Calendar(recording.sessions)
        self.tapes = {symbol: Tape(series) for symbol, series in sorted(recording.series.items())}
        self.chains = RecordedChains(recording.chains, self.calendar)
        self.books = AccountBooks(cash_usd, start_us)
        self.by_id: dict[str, Placed] = {}
        self.by_client_id: dict[str, Placed] = {}
        self.tops: list[Placed] = []
        self.tops_us: list[int] = []
        self.open: dict[int, Placed] = {}
        self.version = 0
        self.option_use: dict[tuple[str, int], Decimal] = {}
        """Contracts that our fills took of each recorded quote, by symbol and the quote's time."""
        self._bar_use: dict[str, tuple[int, Decimal]] = {}

    # Orders

    def keep(self, *orders: Placed) -> Placed:
        """Take in a new order with its legs, and answer the first."""
        for order in orders:
            self.by_id[order.order_id] = order
            self.by_client_id[order.client_order_id] = order
            if order.parent is None:
                self.tops.append(order)
                self.tops_us.append(order.submitted_us)
            self.open[order.sequence] = order
            self.changed(order)
        return orders[0]

    @property
    def next_sequence(self) -> int:
        return len(self.by_id) + 1

    def changed(self, order: Placed) -> None:
        """Forget what was told of the order and of the one that it hangs under."""
        order.view = None
        if order.parent is not None:
            order.parent.view = None
        if not order.is_open:
            self.open.pop(order.sequence, None)
        self.version += 1

    def close(self, order: Placed, status: OrderStatus) -> None:
        """End an open order as canceled or expired, and with it every open order of its group."""
        self.end(order, status)
        self.end_others(order, status)

    def end(self, order: Placed, status: OrderStatus) -> None:
        """End one open order and leave its group alone."""
        order.status = status
        self.changed(order)

    def end_others(self, order: Placed, status: OrderStatus = OrderStatus.CANCELED) -> None:
        """End the other open orders of the group."""
        for other in order.group:
            if other is not order and other.is_open:
                self.end(other, status)

    def open_of(self, symbol: str) -> list[Placed]:
        """The open orders of a symbol in order of arrival."""
        return [order for order in self.open.values() if order.symbol == symbol]

    def held_for_orders(self, symbol: str) -> Decimal:
        """Units that open sales of what is held hold back; a stop shares those of its target."""
        return sum((order.left for order in self.open_of(symbol) if not order.is_buy and not order.is_held), ZERO)

    def option_holdings(self) -> list[Holding]:
        """Every contract held; negative when short."""
        if not self.chains:
            return []
        return [Holding(parsed(name), held) for name, held in self.books.holdings().items() if name not in self.tapes]

    def secured_usd(self, extra: Sequence[Holding] = ()) -> Decimal:
        """Cash that written contracts need, these included: no trade may spend it. Orders' part is free for an exit."""
        grouped = by_underlying((*self.option_holdings(), *extra))
        return sum((requirement(held, self.books.held(name)).cash_usd for name, held in grouped.items()), ZERO)

    def filled(
        self,
        order: Placed,
        quantity: Decimal,
        price: Decimal,
        at_us: int,
        *,
        is_maker: bool = False,
        is_at_open: bool = False,
    ) -> None:
        """Book an execution of an order and move the order on; its group is the caller's."""
        self.advance_order(order, quantity, at_us)
        self.books.fill(order, quantity, price, at_us, is_maker=is_maker, is_at_open=is_at_open)

    def advance_order(self, order: Placed, quantity: Decimal, at_us: int) -> None:
        """Count units as filled."""
        order.filled_quantity += quantity
        order.status = OrderStatus.PARTIALLY_FILLED if order.left else OrderStatus.FILLED
        order.filled_us = None if order.left else at_us
        self.changed(order)

    # The way through the bars

    def walk(self, until_us: int) -> None:
        """Move the clock; every bar that begins in [now, until) or ends in (now, until] meets the orders open by then.

        Half-open on opposite sides: a bar's open happens once the clock has passed it, its end once the clock has
        reached it, and each exactly once however the way is cut into steps.
        """
        if self.open:
            for at_us, moment, symbol, index in sorted(self._events(until_us)):
                if not self.open:
                    break
                if moment is Moment.EXPIRY:
                    self._expire(at_us)
                elif moment is Moment.BAR_OPEN:
                    self._open_bar(self.tapes[symbol], index)
                else:
                    self._end_bar(self.tapes[symbol], index)
        self.now_us = until_us

    def _events(self, until_us: int) -> Iterator[tuple[int, Moment, str, int]]:
        for symbol in {order.symbol for order in self.open.values()}:
            tape = self.tapes.get(symbol)
            if tape is None or tape.is_close_only:
                continue  # options, and shares without bars, trade on recorded quotes
            first, stop = bisect_left(tape.starts_us, self.now_us), bisect_left(tape.starts_us, until_us)
            for index in range(first, stop):
                yield tape.starts_us[index], Moment.BAR_OPEN, symbol, index
            first, stop = bisect_right(tape.ends_us, self.now_us), bisect_right(tape.ends_us, until_us)
            for index in range(first, stop):
                yield tape.ends_us[index], Moment.BAR_END, symbol, index
        ends = {order.expires_us for order in self.open.values() if order.expires_us is not None}
        for at_us in ends:
            if self.now_us < at_us <= until_us:
                yield at_us, Moment.EXPIRY, "", 0

    def _expire(self, at_us: int) -> None:
        for order in list(self.open.values()):
            if order.is_open and order.expires_us is not None and order.expires_us <= at_us:
                is_day = order.time_in_force is TimeInForce.DAY
                self.close(order, OrderStatus.EXPIRED if is_day else OrderStatus.CANCELED)

    def _working(self, symbol: str, began_us: int) -> list[Placed]:
        """Orders in the market when this bar began, in order of arrival, targets last: a bar that touches both legs of
        a group fills the stop."""
        working = (o for o in self.open_of(symbol) if o.works_from_us is not None and o.works_from_us <= began_us)
        return sorted(working, key=lambda order: order.role is Role.TAKE_PROFIT)

    def _open_bar(self, tape: Tape, index: int) -> None:
        began_us = tape.starts_us[index]
        fresh = self._working(tape.symbol, began_us)
        market = tape.at_open(index) if fresh else None
        if market is None:
            return
        # a running bar's volume is not known at its open; the last completed bar's is
        volume = tape.volume(index - 1)
        met: set[int] = set()
        while fresh:
            for order in fresh:
                met.add(order.sequence)
                if not order.is_open:
                    continue
                price = matching.price_at_open(order, market)
                if price is not None:
                    self._execute(tape, index, order, price, volume, began_us, is_at_open=True)
                if order.is_open and order.time_in_force is TimeInForce.IOC:
                    self.close(order, OrderStatus.CANCELED)
            # an entry that filled at this open has put its legs into the market, perhaps beyond their prices
            fresh = [order for order in self._working(tape.symbol, began_us) if order.sequence not in met]

    def _end_bar(self, tape: Tape, index: int) -> None:
        ended_us = tape.ends_us[index]
        for order in self._working(tape.symbol, tape.starts_us[index]):
            if order.is_open:
                self._meet_range(tape, index, order)
        # a price that fell through an entry's limit and on to its stop met them in that order
        for order in self.open_of(tape.symbol):
            if order.is_open and order.role is Role.STOP_LOSS and order.works_from_us == ended_us:
                self._meet_range(tape, index, order)

    def _meet_range(self, tape: Tape, index: int, order: Placed) -> None:
        if order.time_in_force is TimeInForce.IOC:
            return
        high, low = tape.range(index)
        price, is_maker = matching.limit_inside(order, high, low), True
        if order.order_type is OrderType.STOP and not order.is_triggered and matching.stop_is_met(order, high, low):
            assert order.stop_price is not None
            market = tape.around(order.stop_price, index)
            price, is_maker = None if market is None else market.ask if order.is_buy else market.bid, False
        if price is not None:
            self._execute(tape, index, order, price, tape.volume(index), tape.ends_us[index], is_maker=is_maker)

    def _execute(
        self,
        tape: Tape,
        index: int,
        order: Placed,
        price: Decimal,
        volume: Decimal,
        at_us: int,
        *,
        is_maker: bool = False,
        is_at_open: bool = False,
    ) -> None:
        if order.order_type is OrderType.STOP and not order.is_triggered:
            order.is_triggered, order.is_held = True, False
            self.changed(order)
            if order.role is Role.STOP_LOSS:
                self.end_others(order)
        began_us = tape.starts_us[index]
        used_us, used = self._bar_use.get(tape.symbol, (began_us, ZERO))
        used = used if used_us == began_us else ZERO
        quantity, is_cash_out = matching.fill_quantity(
            order,
            price,
            liquidity_left=max(matching.takeable(volume) - used, ZERO),
            cash_usd=self.books.cash_usd - self.secured_usd(),
        )
        if quantity > ZERO:
            self._bar_use[tape.symbol] = (began_us, used + quantity)
            self.filled(order, quantity, price, at_us, is_maker=is_maker, is_at_open=is_at_open)
            self._after_fill(order, at_us)
        if is_cash_out and order.is_open:
            self.close(order, OrderStatus.CANCELED)

    def _after_fill(self, order: Placed, at_us: int) -> None:
        """What a fill means for the rest of its group."""
        if order.role is Role.ENTRY and not order.is_open:
            self._activate(order, at_us)
        elif order.role is Role.TAKE_PROFIT and order.is_open:
            for stop in (each for each in order.group if each is not order and each.is_open):
                stop.quantity = order.left
                self.changed(stop)
        elif order.role in (Role.TAKE_PROFIT, Role.STOP_LOSS):
            self.end_others(order)

    def _activate(self, entry: Placed, at_us: int) -> None:
        """Put the target and stop of a filled entry into the market, unless its shares are promised to others."""
        if self.books.held(entry.symbol) - self.held_for_orders(entry.symbol) < entry.filled_quantity:
            self.end_others(entry)
            return
        for leg in entry.group:
            if leg is not entry and leg.is_open:
                leg.works_from_us, leg.is_held = at_us, leg.role is Role.STOP_LOSS
                self.changed(leg)
