"""Whether the account may place an option order: levels, intents, quantities held, cover and buying power."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from venue.options.chains import MULTIPLIER, US_OPTION, expiry_close_us, parse_contract
from venue.options.margin import Holding, Requirement, by_underlying, requirement
from venue.options.orders import OPENING, LegRequest, OptionRequest
from venue.orders import ZERO, Order, OrderClass, OrderType, PositionIntent, Side
from venue.rules import forbidden, unprocessable
from venue.wire import from_us, plain

if TYPE_CHECKING:
    from venue.exchange import Exchange

# https://docs.alpaca.markets/docs/options-trading#trading-levels
COVERED_LEVEL, LONG_LEVEL, SPREAD_LEVEL = 1, 2, 3
LAST_OPENING_BEFORE_CLOSE = timedelta(minutes=30)


def positions(exchange: Exchange) -> list[Holding]:
    """Every contract held; negative when short."""
    held = ((parse_contract(symbol), symbol) for symbol in exchange.books.held_symbols())
    return [Holding(contract, exchange.books.held_qty(symbol)) for contract, symbol in held if contract is not None]


def requirements(
    exchange: Exchange, *, without: str | None = None, extra: Iterable[Holding] = (), counts_orders: bool = True
) -> dict[str, Requirement]:
    """What each underlying's positions hold back, as if `extra` were held too; with them what open orders would.

    What an order opens or closes together covers itself. What is on its way out, shares too, covers nothing else, and
    neither does what has not come yet. Orders never lower what positions hold back without them.
    """
    settled = list(positions(exchange)) + list(extra)
    found = _requirements(exchange, settled, {}, counts_orders=False)
    if not counts_orders or not exchange.open_orders:
        return found
    loose, bundles_usd = list(settled), dict[str, Decimal]()
    for opening, closing in _bundles(exchange, without):
        loose += [Holding(held.contract, -held.qty) for held in closing]
        for bundle in (opening, closing):
            own = requirement(bundle, ZERO)
            if own.uncovered_calls:
                loose += [held for held in bundle if held.qty < ZERO]
            elif bundle:
                underlying = bundle[0].contract.underlying
                bundles_usd[underlying] = bundles_usd.get(underlying, ZERO) + own.cash_usd
    with_orders = _requirements(exchange, loose, bundles_usd, counts_orders=True)
    return {
        underlying: Requirement(
            max(one.cash_usd, found[underlying].cash_usd if underlying in found else ZERO),
            max(one.pledged_shares, found[underlying].pledged_shares if underlying in found else ZERO),
            max(one.uncovered_calls, found[underlying].uncovered_calls if underlying in found else ZERO),
        )
        for underlying, one in with_orders.items()
    }


def _requirements(
    exchange: Exchange, holdings: list[Holding], bundles_usd: dict[str, Decimal], *, counts_orders: bool
) -> dict[str, Requirement]:
    grouped, found = by_underlying(holdings), {}
    for underlying in sorted(grouped.keys() | bundles_usd.keys()):
        alone = requirement(
            grouped.get(underlying, ()),
            exchange.books.held_qty(underlying) - (exchange.held_for_orders(underlying) if counts_orders else ZERO),
            counts_long_options=exchange.option_level >= SPREAD_LEVEL,
        )
        found[underlying] = replace(alone, cash_usd=alone.cash_usd + bundles_usd.get(underlying, ZERO))
    return found


def _bundles(exchange: Exchange, without: str | None) -> Iterator[tuple[list[Holding], list[Holding]]]:
    """What each open order would open, and which positions it would close; a short bought back alone stays."""
    for order in exchange.open_orders.values():
        if order.asset_class != US_OPTION or order.parent_id is not None or order.order_id == without:
            continue
        opening: list[Holding] = []
        closing: list[Holding] = []
        for leg in order_legs(exchange, order):
            contract, left = parse_contract(leg.symbol), leg.remaining_qty(ZERO)
            if contract is None or not leg.is_open:
                continue
            if leg.position_intent in OPENING:
                opening.append(Holding(contract, left if leg.is_buy else -left))
            elif order.order_class is OrderClass.MLEG or not leg.is_buy:
                closing.append(Holding(contract, -left if leg.is_buy else left))
        yield opening, closing


def collateral_usd(exchange: Exchange, without: str | None = None) -> Decimal:
    """Dollars that options hold back from buying power."""
    found = requirements(exchange, without=without).values()
    return sum((one.cash_usd for one in found), ZERO)


def short_market_value_usd(exchange: Exchange) -> Decimal:
    """What short options are worth at their last quotes; never positive."""
    value = ZERO
    for held in positions(exchange):
        price = exchange.last_known_price(held.contract.symbol)
        if held.qty < ZERO and price is not None:
            value += held.qty * price * MULTIPLIER
    return value


def secured_usd(exchange: Exchange, extra: Iterable[Holding] = ()) -> Decimal:
    """Cash that positions alone need: no trade may spend it. Open orders' part is free for an exit."""
    found = requirements(exchange, extra=extra, counts_orders=False).values()
    return sum((one.cash_usd for one in found), ZERO)


def pledged_shares(exchange: Exchange, symbol: str) -> Decimal:
    """Shares that covered calls hold back from sale."""
    found = requirements(exchange).get(symbol)
    return found.pledged_shares if found else ZERO


def _belongs(order: Order, order_id: str | None) -> bool:
    """Whether this is the order of that id, or a leg of it."""
    return order_id is not None and order_id in (order.order_id, order.parent_id)


def checked(exchange: Exchange, request: OptionRequest, without: str | None = None) -> tuple[OptionRequest, Decimal]:
    """The request with every intent said, and the dollars that each open unit of it reserves; or a refusal.

    without: an order that this one replaces.
    """
    if exchange.is_suspended:
        raise forbidden("new orders are rejected by user request; reset suspend_trade to trade")
    if exchange.option_level == 0:
        raise forbidden("account not eligible to trade options")
    is_open = exchange.sessions.is_open(exchange.now_us)
    if request.order_type is OrderType.MARKET and not is_open:
        raise unprocessable("options market orders are only allowed during market hours")
    legs = tuple(_with_intent(exchange, leg, request.qty * leg.ratio, without) for leg in request.legs)
    request = replace(request, legs=legs)
    for leg in legs:
        _check_contract(exchange, leg)
    _check_level(exchange, request)
    _refuse_wash_trade(exchange, legs, without)
    return request, _check_buying_power(exchange, request, without)


def _with_intent(exchange: Exchange, leg: LegRequest, qty: Decimal, without: str | None) -> LegRequest:
    symbol = leg.contract.symbol
    held = exchange.books.held_qty(symbol)
    if leg.side is Side.BUY:
        inferred = PositionIntent.BUY_TO_CLOSE if held < ZERO else PositionIntent.BUY_TO_OPEN
    else:
        inferred = PositionIntent.SELL_TO_CLOSE if held > ZERO else PositionIntent.SELL_TO_OPEN
    if leg.intent not in (None, inferred):
        raise unprocessable(f"position intent mismatch, inferred: {inferred}, specified: {leg.intent}")
    if inferred not in OPENING:
        closing = [
            order
            for order in exchange.open_orders.values()
            if order.symbol == symbol and order.side is leg.side and not _belongs(order, without)
        ]
        on_hold = sum((order.remaining_qty(ZERO) for order in closing), ZERO)
        available = max(abs(held) - on_hold, ZERO)
        if qty > available:
            raise forbidden(
                f"insufficient qty available for order (requested: {plain(qty)}, available: {plain(available)})",
                symbol=symbol,
                available=plain(available),
                existing_qty=plain(held),
                held_for_orders=plain(on_hold),
                related_orders=[order.order_id for order in closing],
            )
    return replace(leg, intent=inferred)


def _check_contract(exchange: Exchange, leg: LegRequest) -> None:
    contract = leg.contract
    if exchange.recording.chains.find(contract.symbol, exchange.now_us) is None:
        raise unprocessable(f"asset {contract.symbol!r} not found; no recorded chain holds it by now")
    closes_us = expiry_close_us(contract, exchange.sessions)
    if exchange.now_us >= closes_us:
        raise unprocessable(f"contract {contract.symbol} has expired")
    if leg.intent in OPENING and exchange.now >= from_us(closes_us) - LAST_OPENING_BEFORE_CLOSE:
        raise unprocessable(f"contract {contract.symbol} expires soon, unable to open new positions")


def _check_level(exchange: Exchange, request: OptionRequest) -> None:
    needed = COVERED_LEVEL
    if any(leg.intent is PositionIntent.BUY_TO_OPEN for leg in request.legs):
        needed = LONG_LEVEL
    if request.order_class is OrderClass.MLEG:
        needed = SPREAD_LEVEL
    if exchange.option_level < needed:
        raise forbidden(
            f"account not eligible to trade this option order: it needs level {needed}, "
            f"the account has level {exchange.option_level}"
        )


def _refuse_wash_trade(exchange: Exchange, legs: tuple[LegRequest, ...], without: str | None) -> None:
    sides = {leg.contract.symbol: leg.side for leg in legs}
    for order in exchange.open_orders.values():
        side = sides.get(order.symbol)
        if side not in (None, order.side) and not _belongs(order, without):
            raise forbidden(
                "potential wash trade detected. use complex orders",
                existing_order_id=order.order_id,
                reject_reason="opposite side option order exists",
            )


def _check_buying_power(exchange: Exchange, request: OptionRequest, without: str | None) -> Decimal:
    """The debit that each unit reserves; refuses what is uncovered or not affordable."""
    underlying = request.legs[0].contract.underlying
    before = requirements(exchange, without=without).get(underlying)
    change = [Holding(leg.contract, _signed(leg) * request.qty) for leg in request.legs]
    after = requirements(exchange, without=without, extra=change)[underlying]
    if after.uncovered_calls > (before.uncovered_calls if before else ZERO):
        raise _uncovered(exchange, request, underlying, after)
    net_usd = net_price(exchange, request) * MULTIPLIER
    reserved_usd = max(net_usd, ZERO)
    # a limit's credit is certain when it fills; a market order's is not
    credit_usd = max(-net_usd, ZERO) if request.order_type is OrderType.LIMIT else ZERO
    held_back_usd = after.cash_usd - (before.cash_usd if before else ZERO)
    required_usd = held_back_usd + (reserved_usd - credit_usd) * request.qty
    available_usd = exchange.buying_power_usd(without=without)
    if all(leg.intent not in OPENING for leg in request.legs):
        # an exit may use what open orders hold back: they meet the cash that is left when they fill
        required_usd = reserved_usd * request.qty + secured_usd(exchange, change) - secured_usd(exchange)
        available_usd = exchange.books.cash_usd - secured_usd(exchange)
    if required_usd > max(available_usd, ZERO):
        raise forbidden(
            f"insufficient options buying power (required: {plain(required_usd)}, available: {plain(available_usd)})",
            symbol=request.legs[0].contract.symbol,
            options_buying_power=plain(available_usd),
            cost_basis=plain(required_usd),
        )
    return reserved_usd


def _uncovered(exchange: Exchange, request: OptionRequest, underlying: str, after: Requirement) -> Exception:
    if request.order_class is OrderClass.MLEG or request.legs[0].intent is not PositionIntent.SELL_TO_OPEN:
        return forbidden(
            "account not eligible to trade uncovered option contracts",
            symbol=request.legs[0].contract.symbol,
            uncovered_qty=plain(after.uncovered_calls),
        )
    required = request.qty * MULTIPLIER
    available = max(required - after.uncovered_calls * MULTIPLIER, ZERO)
    return forbidden(
        "insufficient underlying qty available for covered call "
        f"(required: {plain(required)}, available: {plain(available)})",
        symbol=request.legs[0].contract.symbol,
        required_qty=plain(required),
        available_qty=plain(available),
    )


def net_price(exchange: Exchange, request: OptionRequest) -> Decimal:
    """What one unit costs per share: its limit, else the far side of the last quotes; a credit is negative."""
    if request.limit_price is not None:
        return request.limit_price if request.order_class is OrderClass.MLEG else _signed_limit(request)
    total = ZERO
    for leg in request.legs:
        quote = exchange.recording.chains.quote(leg.contract.symbol, exchange.now_us)
        assert quote is not None, "the contract was checked"
        total += leg.ratio * (quote.ask if leg.side is Side.BUY else -quote.bid)
    return total


def _signed_limit(request: OptionRequest) -> Decimal:
    assert request.limit_price is not None
    return request.limit_price if request.legs[0].side is Side.BUY else -request.limit_price


def _signed(leg: LegRequest) -> Decimal:
    return leg.ratio if leg.side is Side.BUY else -leg.ratio


def order_legs(exchange: Exchange, order: Order) -> tuple[Order, ...]:
    """The orders whose contracts trade: the legs of a multi-leg order, or the order itself."""
    return exchange.legs(order) if order.order_class is OrderClass.MLEG else (order,)


def free_cash_usd(exchange: Exchange, order: Order, change: Iterable[Holding], *, looks_past_orders: bool) -> Decimal:
    """Cash beyond what everything else holds back once these contracts have changed hands.

    looks_past_orders: as an exit does; open orders meet the cash that is left when they fill.
    """
    if looks_past_orders:
        return exchange.books.cash_usd - secured_usd(exchange, change)
    reserved = (other.reserved_usd for key, other in exchange.open_orders.items() if key != order.order_id)
    needed = requirements(exchange, without=order.order_id, extra=change).values()
    return exchange.books.cash_usd - sum(reserved, ZERO) - sum((one.cash_usd for one in needed), ZERO)
