"""Random weeks of option trading: whatever is asked, the account never owes what it does not have."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest

from tests.venue.option_chains import QUOTES, leg, moment, recording, rows
from venue.exchange import Exchange
from venue.options.account import requirements
from venue.orders import ZERO
from venue.wire import ApiError

MOMENTS = [f"2024-01-0{day}T{hour}:30:00+00:00" for day in (2, 3, 4, 5) for hour in (15, 17, 19)]
STEPS_MINUTES = (1, 5, 20, 60, 240)
LAST = "2024-01-08T15:00:00+00:00"


def random_recording(rng: np.random.Generator) -> Any:
    """A spot that walks, and quotes around intrinsic values; some contracts lose their bid."""
    recorded, spot = [], 100.0
    for at in MOMENTS:
        spot = round(float(spot * np.exp(rng.normal(0, 0.04))), 2)
        quotes = {}
        for symbol in QUOTES:
            strike, is_call = int(symbol[-8:]) / 1000, symbol[-9] == "C"
            intrinsic = max(spot - strike if is_call else strike - spot, 0.0)
            bid = round(intrinsic + float(rng.uniform(0, 2)), 2)
            quotes[symbol] = (0.0 if rng.random() < 0.1 else bid, round(bid + float(rng.uniform(0.01, 0.5)), 2))
        recorded.append(rows(at, spot, quotes, volume=float(rng.integers(0, 100))))
    return recording(*recorded)


def random_order(rng: np.random.Generator) -> dict[str, Any]:
    symbols = [str(one) for one in rng.permutation(sorted(QUOTES))]
    price = {"type": "market"}
    if rng.random() < 0.5:
        price = {"type": "limit", "limit_price": str(round(float(rng.uniform(-3, 6)), 2))}
    body = {"time_in_force": "day", "qty": str(rng.integers(1, 5)), **price}
    side = str(rng.choice(["buy", "sell"]))
    match int(rng.integers(0, 4)):
        case 0:
            return body | {"symbol": "XYZ", "side": side, "qty": str(rng.integers(1, 300))}
        case 1:
            return body | {"symbol": symbols[0], "side": side}
        case 2:
            long, short = rng.permutation([one for one in symbols if one[-9] == symbols[0][-9]])[:2].tolist()
            ending = str(rng.choice(["open", "open", "close"]))
            legs = [leg(long, f"buy_to_{ending}"), leg(short, f"sell_to_{ending}")]
            return body | {"order_class": "mleg", "legs": legs}
        case _:
            intents = ["buy_to_open", "sell_to_open", "buy_to_close", "sell_to_close"]
            legs = [leg(one, str(rng.choice(intents)), str(rng.integers(1, 3))) for one in symbols[:3]]
            return body | {"order_class": "mleg", "legs": legs}


def check(exchange: Exchange) -> None:
    books = exchange.books
    assert books.cash_usd >= ZERO
    assert books.held_qty("XYZ") >= ZERO
    assert exchange.held_for_orders("XYZ") <= books.held_qty("XYZ")
    required = requirements(exchange, counts_orders=False).values()
    assert all(one.uncovered_calls == ZERO for one in required)
    assert sum((one.cash_usd for one in required), ZERO) <= books.cash_usd
    assert sum((movement.amount_usd for movement in books.cash_movements), ZERO) == books.cash_usd


@pytest.mark.parametrize("seed", range(25))
def test_no_week_leaves_a_debt_or_an_uncovered_call(seed: int) -> None:
    rng = np.random.default_rng(seed)
    exchange = Exchange(
        random_recording(rng),
        start=moment(MOMENTS[0]),
        cash_usd=Decimal(int(rng.integers(500, 60_000))),
        option_level=int(rng.choice([1, 2, 3, 3, 3])),
    )
    placed = refused = 0

    while exchange.now < moment(LAST):
        for _ in range(int(rng.integers(1, 8))):
            was_accepted = is_accepted(exchange, random_order(rng))
            placed += was_accepted
            refused += not was_accepted
            check(exchange)
        if rng.random() < 0.1:
            wish(exchange, str(rng.choice(sorted(QUOTES))))
            check(exchange)
        later = exchange.now + timedelta(minutes=int(rng.choice(STEPS_MINUTES)))
        coming = [moment(at) for at in (*MOMENTS, LAST) if moment(at) > exchange.now]
        exchange.advance_to(coming[0] if coming and rng.random() < 0.6 else later)
        check(exchange)

    assert placed > 0
    assert refused > 0
    expired = [symbol for symbol in exchange.books.held_symbols() if "240105" in symbol]
    assert expired == []


def is_accepted(exchange: Exchange, order: dict[str, Any]) -> bool:
    try:
        exchange.submit(order)
    except ApiError:
        return False
    return True


def wish(exchange: Exchange, symbol: str) -> None:
    with suppress(ApiError):
        exchange.exercise(symbol)
