"""Option chains from the wire: every page, straight into columns, and nothing invented where nothing is told."""

from __future__ import annotations

from datetime import date
from typing import Any

import numpy as np
import pytest

from core.data.options import AlpacaOptions
from core.errors import BadFacts, BrokerUnavailable
from core.ports import ChainWindow
from tests.broker import published
from tests.broker.scripted import Asked, scripted
from tests.builders import usd

PATH = "/v1beta1/options/snapshots/{underlying_symbol}"
PUBLISHED = "AAPL240426C00162500"
WINDOW = ChainWindow("AAPL", date(2024, 4, 22), date(2024, 5, 31), usd(150), usd("170.5"))
QUOTE = {"t": "2024-04-22T19:59:59.5Z", "bp": 4.15, "ap": 4.3}


def options(url: str) -> AlpacaOptions:
    return AlpacaOptions(url, url, key="key", secret="secret", feed="indicative")


def test_a_published_snapshot_becomes_a_row() -> None:
    answer = published.snapshots(PATH) | {"next_page_token": None}
    with scripted(lambda _asked: (200, answer)) as script:
        chain = options(script.url).chain(WINDOW)

    row = chain.symbols.index(PUBLISHED)
    assert (chain.underlying, chain.expiry[row], chain.strike[row]) == ("AAPL", np.datetime64("2024-04-26"), 162.5)
    assert chain.is_call[row]
    assert (chain.bid[row], chain.ask[row]) == (4.15, 4.3)
    assert chain.quoted_at[row] == np.datetime64("2024-04-22T19:59:59.992734")
    assert (chain.delta[row], chain.theta[row]) == (0.7521304109871954, -0.2847623059595503)
    assert (chain.gamma[row], chain.vega[row]) == (0.06241426404871288, 0.047540520834498785)
    assert chain.implied_volatility[row] == 0.3372405712050441
    assert np.isnan(chain.open_interest[row])


def test_every_page_of_the_window_is_read() -> None:
    def page(asked: Asked) -> tuple[int, Any]:
        number = int(asked.params.get("page_token", "0"))
        found = {f"AAPL240426C00{150 + number}000": {"latestQuote": QUOTE}}
        return 200, {"snapshots": found, "next_page_token": str(number + 1) if number < 2 else None}

    with scripted(page) as script:
        chain = options(script.url).chain(WINDOW)

    assert chain.strike.tolist() == [150.0, 151.0, 152.0]
    assert script.asked[0].path == "/v1beta1/options/snapshots/AAPL"
    assert script.asked[0].params == {
        "expiration_date_gte": "2024-04-22",
        "expiration_date_lte": "2024-05-31",
        "strike_price_gte": "150",
        "strike_price_lte": "170.5",
        "feed": "indicative",
        "limit": "1000",
    }


def test_what_is_not_told_is_not_a_number() -> None:
    """I-50: no greeks, no volatility, no quote; and a price below zero is no price. A crossed quote is passed on."""
    found = {
        "AAPL240426C00100000": {},
        "AAPL240426C00101000": {"latestQuote": QUOTE | {"bp": -1, "ap": 0}, "greeks": {"delta": None}},
        "AAPL240426C00102000": {"latestQuote": QUOTE | {"bp": 5.0}, "greeks": None},
    }
    with scripted(lambda _asked: (200, {"snapshots": found, "next_page_token": None})) as script:
        chain = options(script.url).chain(WINDOW)

    assert np.isnat(chain.quoted_at).tolist() == [True, False, False]
    assert chain.bid.tolist() == pytest.approx([np.nan, np.nan, 5.0], nan_ok=True)
    assert chain.ask.tolist() == pytest.approx([np.nan, 0.0, 4.3], nan_ok=True)
    for name in ("delta", "gamma", "theta", "vega", "implied_volatility", "open_interest"):
        assert np.isnan(getattr(chain, name)).all(), name


@pytest.mark.parametrize(
    "odd", ["AAPL1240426C00100000", "AAPLW240426C00100000", "AAPL240230C00100000", "AAPL240426X00100000", "AAPL", ""]
)
def test_a_contract_of_another_kind_is_left_out(odd: str) -> None:
    found = {odd: {"latestQuote": QUOTE}, PUBLISHED: {"latestQuote": QUOTE}}
    with scripted(lambda _asked: (200, {"snapshots": found, "next_page_token": None})) as script:
        chain = options(script.url).chain(WINDOW)

    assert chain.symbols == (PUBLISHED,)


def test_an_underlying_without_contracts_has_an_empty_chain() -> None:
    with scripted(lambda _asked: (200, {"snapshots": {}, "next_page_token": None})) as script:
        chain = options(script.url).chain(WINDOW)

    assert (chain.underlying, chain.symbols, chain.bid.shape) == ("AAPL", (), (0,))


def test_named_contracts_come_as_one_chain_an_underlying() -> None:
    names = [PUBLISHED, "SPY240426P00500000", "AAPL240426P00162500"]
    answer = {"snapshots": {name: {"latestQuote": QUOTE} for name in names}, "next_page_token": None}
    with scripted(lambda _asked: (200, answer)) as script:
        chains = options(script.url).contracts([*names, "GONE240426P00500000"])
        assert options(script.url).contracts([]) == ()

    assert {chain.underlying: chain.is_call.tolist() for chain in chains} == {"AAPL": [True, False], "SPY": [False]}
    assert len(script.asked) == 1


def contract_json(symbol: str, **changes: Any) -> dict[str, Any]:
    return {"symbol": symbol, "multiplier": "100", "size": "100", "open_interest": "237"} | changes


def test_open_interest_is_read_once_for_the_same_days_and_only_of_standard_contracts() -> None:
    pages = {
        "": [contract_json("AAPL240426C00100000"), contract_json("AAPL240426C00101000", open_interest=None)],
        "more": [
            contract_json("AAPL240426C00102000", multiplier="10"),
            contract_json("AAPL240426C00103000", size="150"),
            contract_json("SPY240426C00500000", open_interest="0"),
        ],
    }

    def page(asked: Asked) -> tuple[int, Any]:
        token = asked.params.get("page_token", "")
        return 200, {"option_contracts": pages[token], "next_page_token": "more" if not token else ""}

    with scripted(page) as script:
        source = options(script.url)
        days = (date(2024, 4, 22), date(2024, 5, 31))
        found = source.open_interest(["AAPL", "SPY"], *days)
        again = source.open_interest(["AAPL", "SPY"], *days)
        asked_twice = len(script.asked)
        source.open_interest(["AAPL", "SPY"], date(2024, 4, 23), days[1])

    assert found == again == {"AAPL240426C00100000": 237, "SPY240426C00500000": 0}
    assert (asked_twice, len(script.asked)) == (2, 4)
    assert script.asked[0].path == "/v2/options/contracts"
    assert script.asked[0].params["underlying_symbols"] == "AAPL,SPY"


@pytest.mark.parametrize(
    "body",
    [
        "<html>",
        {"snapshot": {}},
        {"snapshots": {PUBLISHED: {"latestQuote": {"t": "2024-04-22T19:59:59", "bp": 1, "ap": 2}}}},
        {"snapshots": {PUBLISHED: {"latestQuote": {"t": "2024-04-22T19:59:59Z", "bp": "1", "ap": 2}}}},
        '{"snapshots": {"AAPL240426C00162500": {"latestQuote": {"t": "2024-04-22T19:59:59Z", "bp": NaN, "ap": 2}}}}',
    ],
)
def test_snapshots_of_another_shape_are_refused(body: Any) -> None:
    """I-23: a value that is missing or no number is not replaced."""
    with scripted(lambda _asked: (200, body)) as script, pytest.raises(BadFacts, match="option snapshots"):
        options(script.url).chain(WINDOW)


def test_open_interest_of_another_shape_is_refused_and_asked_for_again() -> None:
    answers = iter(["many", "5"])

    def page(_asked: Asked) -> tuple[int, Any]:
        return 200, {"option_contracts": [contract_json(PUBLISHED, open_interest=next(answers))]}

    with scripted(page) as script:
        source = options(script.url)
        days = (date(2024, 4, 22), date(2024, 5, 31))
        with pytest.raises(BadFacts, match="option contracts"):
            source.open_interest(["AAPL"], *days)
        assert source.open_interest(["AAPL"], *days) == {PUBLISHED: 5}


def test_a_source_that_is_down_is_unavailable() -> None:
    with scripted(lambda _asked: (503, {"message": "down"})) as script, pytest.raises(BrokerUnavailable):
        options(script.url).chain(WINDOW)
