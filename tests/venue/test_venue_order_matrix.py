"""The whole order matrix: asset class x order class x type x time in force, each accepted or refused with its code."""

from __future__ import annotations

from typing import Any

import pytest

from tests.venue import option_chains

FLAT = (100.0, 101.0, 99.0, 100.0, 100000.0)
TIMES = ("day", "gtc", "opg", "cls", "ioc", "fok")
ANSWERS = {"ok": (200, None), "unfit": (422, 42210000), "form": (422, 40010001), "no": (403, 40310000)}

# one row: type, then the answer for each of TIMES
EQUITY = {
    "simple": """
        market         ok     ok     ok     ok     ok     ok
        limit          ok     ok     ok     ok     ok     ok
        stop           ok     ok     unfit  unfit  unfit  unfit
        stop_limit     ok     ok     unfit  unfit  unfit  unfit
        trailing_stop  ok     ok     unfit  unfit  unfit  unfit
    """,
    "bracket": """
        market         ok     ok     unfit  unfit  unfit  unfit
        limit          ok     ok     unfit  unfit  unfit  unfit
        stop           form   form   unfit  unfit  unfit  unfit
        stop_limit     form   form   unfit  unfit  unfit  unfit
        trailing_stop  form   form   unfit  unfit  unfit  unfit
    """,
    "oto": """
        market         ok     ok     unfit  unfit  unfit  unfit
        limit          ok     ok     unfit  unfit  unfit  unfit
        stop           form   form   unfit  unfit  unfit  unfit
        stop_limit     form   form   unfit  unfit  unfit  unfit
        trailing_stop  form   form   unfit  unfit  unfit  unfit
    """,
    "oco": """
        market         form   form   form   form   form   form
        limit          ok     ok     unfit  unfit  unfit  unfit
        stop           form   form   unfit  unfit  unfit  unfit
        stop_limit     form   form   unfit  unfit  unfit  unfit
        trailing_stop  form   form   unfit  unfit  unfit  unfit
    """,
    "mleg": """
        market         unfit  unfit  unfit  unfit  unfit  unfit
        limit          unfit  unfit  unfit  unfit  unfit  unfit
        stop           unfit  unfit  unfit  unfit  unfit  unfit
        stop_limit     unfit  unfit  unfit  unfit  unfit  unfit
        trailing_stop  unfit  unfit  unfit  unfit  unfit  unfit
    """,
}
EQUITY_FRACTION = """
    market         ok     unfit  unfit  unfit  unfit  unfit
    limit          ok     unfit  unfit  unfit  unfit  unfit
    stop           ok     unfit  unfit  unfit  unfit  unfit
    stop_limit     ok     unfit  unfit  unfit  unfit  unfit
    trailing_stop  unfit  unfit  unfit  unfit  unfit  unfit
"""
CRYPTO = {
    "simple": """
        market         unfit  ok     unfit  unfit  ok     unfit
        limit          unfit  ok     unfit  unfit  ok     unfit
        stop           unfit  unfit  unfit  unfit  unfit  unfit
        stop_limit     unfit  ok     unfit  unfit  unfit  unfit
        trailing_stop  unfit  unfit  unfit  unfit  unfit  unfit
    """,
    **dict.fromkeys(("bracket", "oto", "oco", "mleg"), EQUITY["mleg"]),
}

PRICES = {
    "market": {},
    "limit": {"limit_price": "90"},
    "stop": {"stop_price": "110"},
    "stop_limit": {"stop_price": "110", "limit_price": "111"},
    "trailing_stop": {"trail_percent": "5"},
}
EXITS = {"take_profit": {"limit_price": "120"}, "stop_loss": {"stop_price": "85"}}
LEGS: dict[str, dict[str, Any]] = {
    "simple": {},
    "bracket": EXITS,
    "oto": {"stop_loss": EXITS["stop_loss"]},
    "oco": EXITS | {"limit_price": None},
    "mleg": {},
}


def rows(table: str) -> list[tuple[str, list[str]]]:
    return [(line.split()[0], line.split()[1:]) for line in table.strip().splitlines()]


@pytest.fixture
def trader(desk: Any, crypto: Any, stock: Any) -> Any:
    """Ten shares are held; it is 19:30 in New York, so both auctions take orders."""
    trader = desk(crypto(*[FLAT] * 3), stock(*[FLAT] * 3))
    trader.order("buy", "10", symbol="AAPL")
    trader.until("2024-01-03T00:30:00Z")
    return trader


def answered(trader: Any, payload: dict[str, Any]) -> tuple[int, int | None]:
    """The answer to one order; what was accepted is canceled, so that the next meets the same account."""
    response = trader.http.post("/v2/orders", json=payload)
    if response.status_code == 200:
        trader.http.delete("/v2/orders")
        return 200, None
    return response.status_code, response.json()["code"]


@pytest.mark.parametrize(
    ("symbol", "order_class", "order_type", "expected"),
    [
        pytest.param(symbol, order_class, order_type, answers, id=f"{symbol}-{order_class}-{order_type}")
        for symbol, tables in (("AAPL", EQUITY), ("BTC/USD", CRYPTO))
        for order_class, table in tables.items()
        for order_type, answers in rows(table)
    ],
)
def test_every_cell_of_the_matrix(
    trader: Any, symbol: str, order_class: str, order_type: str, expected: list[str]
) -> None:
    payload = {
        "symbol": symbol,
        "qty": "1",
        "side": "sell" if order_class == "oco" else "buy",
        "type": order_type,
        "order_class": order_class,
        **PRICES[order_type],
        **LEGS[order_class],
    }

    answers = [answered(trader, payload | {"time_in_force": time_in_force}) for time_in_force in TIMES]

    assert answers == [ANSWERS[word] for word in expected]


@pytest.mark.parametrize(("order_type", "expected"), rows(EQUITY_FRACTION))
def test_a_fraction_of_a_share_is_a_simple_day_order(trader: Any, order_type: str, expected: list[str]) -> None:
    payload = {"symbol": "AAPL", "qty": "1.5", "side": "buy", "type": order_type, **PRICES[order_type]}

    answers = [answered(trader, payload | {"time_in_force": time_in_force}) for time_in_force in TIMES]

    assert answers == [ANSWERS[word] for word in expected]


@pytest.mark.parametrize("order_class", ["bracket", "oto", "oco"])
@pytest.mark.parametrize(
    "change", [{"qty": "1.5"}, {"qty": None, "notional": "500"}, {"extended_hours": True}], ids=str
)
def test_a_group_takes_whole_shares_in_regular_hours(trader: Any, order_class: str, change: Any) -> None:
    side = "sell" if order_class == "oco" else "buy"
    payload = {"symbol": "AAPL", "qty": "1", "side": side, "type": "limit", "limit_price": "90", "time_in_force": "day"}

    answer = answered(trader, payload | {"order_class": order_class} | LEGS[order_class] | change)

    assert answer == (422, 42210000)


# Options

OPTION_TABLE = """
    market         ok     unfit  unfit  unfit  unfit  unfit
    limit          ok     unfit  unfit  unfit  unfit  unfit
    stop           unfit  unfit  unfit  unfit  unfit  unfit
    stop_limit     unfit  unfit  unfit  unfit  unfit  unfit
    trailing_stop  unfit  unfit  unfit  unfit  unfit  unfit
"""
OPTION = {
    "simple": OPTION_TABLE,
    "mleg": OPTION_TABLE,
    **dict.fromkeys(("bracket", "oto", "oco"), EQUITY["mleg"]),
}


@pytest.fixture
def option_trader(desk: Any) -> Any:
    """It is 14:50 in New York; the quotes are too old to fill and the session is open."""
    chains = option_chains.recording(option_chains.rows(option_chains.TUESDAY, 100.0))
    return desk(recording=chains, start=option_chains.moment("2024-01-02T19:50:00+00:00"))


@pytest.mark.parametrize(
    ("order_class", "order_type", "expected"),
    [
        pytest.param(order_class, order_type, answers, id=f"option-{order_class}-{order_type}")
        for order_class, table in OPTION.items()
        for order_type, answers in rows(table)
    ],
)
def test_every_cell_of_the_option_matrix(
    option_trader: Any, order_class: str, order_type: str, expected: list[str]
) -> None:
    payload: dict[str, Any] = {"qty": "1", "type": order_type, "order_class": order_class, **PRICES[order_type]}
    if order_class == "mleg":
        spread = (option_chains.CALL_100, "buy_to_open"), (option_chains.CALL_105, "sell_to_open")
        payload["legs"] = [option_chains.leg(*leg) for leg in spread]
    else:
        payload |= {"symbol": option_chains.CALL_100, "side": "buy", **LEGS[order_class]}

    answers = [answered(option_trader, payload | {"time_in_force": time_in_force}) for time_in_force in TIMES]

    assert answers == [ANSWERS[word] for word in expected]
