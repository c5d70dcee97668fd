"""Brackets, spreads, written options and their ends, in any order and twice: the books equal a plain ledger."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from decimal import Decimal
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from core.execution.settle import settle
from core.model.limits import Costs
from core.model.market import AssetClass
from core.model.options import MULTIPLIER
from core.model.orders import (
    Delivery,
    Fill,
    Leg,
    OptionEvent,
    OptionEventKind,
    Order,
    OrderClass,
    OrderIntent,
    OrderStatus,
    OrderType,
    PositionIntent,
    Purpose,
    Side,
)
from core.model.trades import Books, OrderRecord
from tests.builders import AS_OF, TODAY, books, fill, intent, order, record, usd
from tests.unit.settling import activities

COSTS = Costs()
TINY = usd("0.000001")
END = AS_OF + timedelta(hours=9)
PRICES = st.integers(100, 20_000).map(lambda each: str(usd(each) / 100))

Happening = Fill | OptionEvent | Delivery


@dataclass
class Story:
    """What an account went through, in the order of time, and what the broker's list of orders says in the end."""

    records: list[OrderRecord]
    orders: list[Order]
    happened: list[Happening]

    def order(self, meant: OrderIntent, parts: Iterable[tuple[str, int, str]], resting: Order | None = None) -> None:
        """An order with its fills of (symbol, quantity, price); those of a resting leg are its own."""
        fills: list[Fill] = []
        for symbol, quantity, price in parts:
            of_leg = next((each for each in meant.legs if each.symbol == symbol), None)
            is_structure = meant.order_class is OrderClass.MULTI_LEG
            name = f"{meant.client_order_id}-{symbol}" if is_structure else f"{meant.client_order_id}@"
            side = meant.side if of_leg is None else of_leg.position_intent.side
            fills.append(self._fill(meant, name, symbol, side, quantity, price))
        done = str(sum(each.quantity for each in fills))
        if meant.order_class is OrderClass.MULTI_LEG:
            filled: dict[str, int] = defaultdict(int)
            for each in fills:
                filled[each.symbol] += int(each.quantity)
            legs = tuple(
                replace(
                    order(meant, str(meant.quantity)),
                    order_id=f"{meant.client_order_id}-{each.symbol}",
                    symbol=each.symbol,
                    filled_quantity=usd(filled[each.symbol]),
                )
                for each in meant.legs
            )
            self.orders.append(order(meant, str(meant.quantity), legs=legs))
        else:
            self.orders.append(order(meant, done, legs=() if resting is None else (resting,)))
        self.records.append(record(meant))

    def leg_fill(self, meant: OrderIntent, leg: Order, quantity: int, price: str) -> None:
        self._fill(meant, leg.order_id, leg.symbol, leg.side, quantity, price)

    def _fill(self, meant: OrderIntent, name: str, symbol: str, side: Side, quantity: int, price: str) -> Fill:
        number = len(self.happened)
        made = fill(meant, str(quantity), price, fill_id=f"fill-{number:03}", order_id=name, symbol=symbol, side=side)
        self.happened.append(replace(made, at=AS_OF + timedelta(minutes=number)))
        return made

    def before(self) -> Books:
        return books(unsettled=tuple(self.records))


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """One to four episodes, each with an underlying of its own."""
    story = Story([], [], [])
    tell = (_bracket, _written_put, _covered_call, _spread)
    for number in range(draw(st.integers(1, 4))):
        draw(st.sampled_from(tell))(draw, story, "ABCD"[number] * 3)
    return story


def _stock(symbol: str, purpose: Purpose, quantity: int, **changes: Any) -> OrderIntent:
    return intent(symbol, purpose, asset_class=AssetClass.STOCK, quantity=usd(quantity), **changes)


def _option(symbol: str, meant: PositionIntent, quantity: int, **changes: Any) -> OrderIntent:
    purpose = Purpose.ENTRY if meant.opens else Purpose.EXIT
    plain = intent(symbol, purpose, asset_class=AssetClass.OPTION, quantity=usd(quantity), side=meant.side)
    return replace(plain, legs=(Leg(symbol, 1, meant),), multiplier=MULTIPLIER, **changes)


def _bracket(draw: st.DrawFn, story: Story, name: str) -> None:
    """Shares in parts at one price, as an order is one lot; then the stop sells some, all or none of them."""
    price = draw(PRICES)
    parts = [(name, quantity, price) for quantity in draw(st.lists(st.integers(1, 50), min_size=1, max_size=3))]
    bought = sum(quantity for _, quantity, _ in parts)
    meant = _stock(name, Purpose.ENTRY, bought, order_class=OrderClass.BRACKET)
    sold = draw(st.integers(0, bought))
    status = OrderStatus.FILLED if sold == bought else OrderStatus.CANCELED
    stop = replace(
        order(meant), order_id=f"{name}-stop", side=Side.SELL, order_type=OrderType.STOP, filled_quantity=usd(sold)
    )
    story.order(meant, parts, replace(stop, status=status))
    if sold:
        story.leg_fill(meant, stop, sold, draw(PRICES))


def _written_put(draw: st.DrawFn, story: Story, name: str) -> None:
    """Puts are sold; some are bought back, some assigned, some expire, and some stay."""
    put = f"{name}260320P00050000"
    written = draw(st.integers(1, 5))
    story.order(_option(put, PositionIntent.SELL_TO_OPEN, written), [(put, written, draw(PRICES))])
    back = draw(st.integers(0, written))
    if back:
        story.order(_option(put, PositionIntent.BUY_TO_CLOSE, back), [(put, back, draw(PRICES))])
    _end(draw, story, name, put, written - back, Side.BUY)


def _covered_call(draw: st.DrawFn, story: Story, name: str) -> None:
    """Shares are bought, calls are written on them, and the shares may be called away."""
    call, written = f"{name}260320C00050000", draw(st.integers(1, 3))
    story.order(_stock(name, Purpose.ENTRY, 100 * written), [(name, 100 * written, draw(PRICES))])
    story.order(_option(call, PositionIntent.SELL_TO_OPEN, written), [(call, written, draw(PRICES))])
    _end(draw, story, name, call, written, Side.SELL)


def _spread(draw: st.DrawFn, story: Story, name: str) -> None:
    """A put spread is bought or sold; it is closed, or ends in shares that come and go at both strikes."""
    low, high, units = f"{name}260320P00040000", f"{name}260320P00050000", draw(st.integers(1, 4))
    bought, sold = draw(st.permutations([low, high]))
    entry = _structure(name, (bought, PositionIntent.BUY_TO_OPEN), (sold, PositionIntent.SELL_TO_OPEN), units)
    story.order(entry, [(bought, units, draw(PRICES)), (sold, units, draw(PRICES))])
    if draw(st.booleans()):
        back = _structure(name, (bought, PositionIntent.SELL_TO_CLOSE), (sold, PositionIntent.BUY_TO_CLOSE), units)
        story.order(back, [(bought, units, draw(PRICES)), (sold, units, draw(PRICES))])
    elif draw(st.booleans()):
        story.happened += [
            OptionEvent(f"exercised-{name}", OptionEventKind.EXERCISED, bought, usd(units), TODAY),
            OptionEvent(f"assigned-{name}", OptionEventKind.ASSIGNED, sold, usd(units), TODAY),
            Delivery(f"in-{name}", name, Side.BUY, usd(100 * units), usd(50), TODAY),
            Delivery(f"out-{name}", name, Side.SELL, usd(100 * units), usd(40), TODAY),
        ]


def _structure(
    name: str, first: tuple[str, PositionIntent], second: tuple[str, PositionIntent], units: int
) -> OrderIntent:
    plain = _option(name, first[1], units, order_class=OrderClass.MULTI_LEG)
    return replace(plain, legs=(Leg(first[0], 1, first[1]), Leg(second[0], 1, second[1])))


def _end(draw: st.DrawFn, story: Story, name: str, contract: str, left: int, delivered: Side) -> None:
    assigned = draw(st.integers(0, left))
    expired = draw(st.integers(0, left - assigned))
    if assigned:
        story.happened += [
            OptionEvent(f"assigned-{name}", OptionEventKind.ASSIGNED, contract, usd(assigned), TODAY),
            Delivery(f"shares-{name}", name, delivered, usd(100 * assigned), usd(50), TODAY),
        ]
    if expired:
        story.happened.append(OptionEvent(f"expired-{name}", OptionEventKind.EXPIRED, contract, usd(expired), TODAY))


@dataclass
class Ledger:
    """First in, first out over signed units, one happening after another: what a clerk would write by hand."""

    cash: Decimal
    lots: dict[str, list[tuple[int, Decimal]]]
    realised: dict[str, Decimal]

    def write(self, each: Happening) -> None:
        if isinstance(each, OptionEvent):
            side = Side.BUY if self.lots[each.symbol][0][0] < 0 else Side.SELL
            self._units(each.symbol, int(each.quantity) * (1 if side is Side.BUY else -1), Decimal(0))
            return
        price = each.price * (100 if len(each.symbol) > 3 else 1)
        units = int(each.quantity) * (1 if each.side is Side.BUY else -1)
        self.cash -= units * price
        self._units(each.symbol, units, price)

    def _units(self, symbol: str, units: int, price: Decimal) -> None:
        step = 1 if units > 0 else -1
        for _ in range(abs(units)):
            queue = self.lots[symbol]
            if queue and queue[0][0] == -step:
                _, cost = queue.pop(0)
                self.realised[symbol] += step * (cost - price)
            else:
                queue.append((step, price))


def ledger(story: Story) -> Ledger:
    page = Ledger(Decimal(100_000), defaultdict(list), defaultdict(Decimal))
    for each in story.happened:
        page.write(each)
    return page


def settled(before: Books, story: Story, happened: Iterable[Happening]) -> Books:
    answer = settle(before, story.orders, activities(happened), as_of=END, costs=COSTS)
    assert answer.notes == ()
    return answer.books


def check(after: Books, story: Story) -> None:
    page = ledger(story)
    held: dict[str, Decimal] = defaultdict(Decimal)
    for each in after.open_trades:
        held[each.symbol] += each.position_quantity
    realised = after.record.realised_usd + sum((each.realised_usd for each in after.trades), Decimal(0))
    assert after.cash_usd == page.cash
    assert held == {symbol: sum(units for units, _ in lots) for symbol, lots in page.lots.items() if lots}
    assert abs(realised - sum(page.realised.values(), Decimal(0))) < TINY
    assert after.unsettled == ()


@given(stories())
def test_books_equal_the_ledger(story: Story) -> None:
    """I-03: cash, positions and profit, with multipliers, written contracts and shares at the strike."""
    check(settled(story.before(), story, story.happened), story)


@given(stories(), st.lists(st.integers(0, 20), max_size=4), st.randoms(use_true_random=False))
def test_any_order_repetition_and_delay_gives_the_same_books(story: Story, cuts: list[int], random: Random) -> None:
    """I-07: each read brings more fills, disordered and again; the end of an option may come in any read of them."""
    fills = [each for each in story.happened if isinstance(each, Fill)]
    ends = [each for each in story.happened if not isinstance(each, Fill)]
    random.shuffle(ends)
    after, shown = story.before(), 0

    for cut in [*sorted(cuts), len(story.happened), len(story.happened)]:
        shown = len(ends) if cut >= len(story.happened) else random.randint(shown, max(shown, cut))
        seen = 2 * (fills[:cut] + ends[:shown])
        random.shuffle(seen)
        after = settled(after, story, seen)

    check(after, story)


@given(stories())
def test_what_counts_as_one_trade_is_counted_once(story: Story) -> None:
    """I-02: a closed structure is one, whatever its contracts are; delivered shares are a trade of their own."""
    after = settled(story.before(), story, story.happened)

    opened = {each.client_order_id for each in story.records if each.intent.purpose is Purpose.ENTRY}
    delivered = {each.symbol for each in after.trades if each.strategy == "delivered"}
    still = {each.group_id for each in after.open_trades}
    closed_shares = sum(isinstance(each, Delivery) and each.side is Side.BUY for each in story.happened) - len(
        delivered
    )
    assert after.record.closed_trades == len(opened - still) + closed_shares
