"""Option contracts and chain snapshots: pages, filters, and nothing from after the clock."""

from __future__ import annotations

from typing import Any

import pytest

from tests.venue.option_chains import (
    CALL_95,
    CALL_100,
    FRIDAY,
    LATER_CALL_105,
    PUT_90,
    QUOTES,
    THIS_WEEK,
    TUESDAY,
    WEDNESDAY,
    moment,
    occ,
    recording,
    rows,
)


@pytest.fixture
def open_desk(desk: Any) -> Any:
    """A desk over recorded chains, five minutes after the first recording unless said otherwise."""

    def build(*recorded: Any, start: str = "2024-01-02T19:35:00+00:00", **options: Any) -> Any:
        returns, series = options.pop("returns", None), options.pop("series", ())
        chains = recorded or (rows(TUESDAY, 100.0),)
        return desk(recording=recording(*chains, series=series, returns=returns), start=moment(start), **options)

    return build


def every_page(trader: Any, path: str, key: str, **query: Any) -> list[Any]:
    pages, token = [], None
    while True:
        answer = trader.get(path, **query, **({"page_token": token} if token else {}))
        pages.append(answer[key])
        token = answer["next_page_token"]
        if token is None:
            return pages


def test_contracts_come_in_pages_that_hold_each_once(open_desk: Any) -> None:
    query = {"underlying_symbols": "XYZ", "expiration_date_lte": "2024-02-01", "limit": 3}

    pages = every_page(open_desk(), "/v2/options/contracts", "option_contracts", **query)

    assert [len(page) for page in pages] == [3, 3, 1]
    assert [contract["symbol"] for page in pages for contract in page] == sorted(QUOTES)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, sorted(set(QUOTES) - {LATER_CALL_105})),  # without dates: until the weekend
        ({"expiration_date": "2024-01-12"}, [LATER_CALL_105]),
        ({"expiration_date_gte": "2024-01-06"}, [LATER_CALL_105]),
        ({"type": "put", "strike_price_lte": "90"}, [PUT_90]),
        ({"type": "call", "strike_price_gte": "95", "strike_price_lte": "100"}, [CALL_95, CALL_100]),
        ({"underlying_symbols": "ABC"}, []),
        ({"status": "inactive"}, []),
    ],
    ids=str,
)
def test_contracts_are_filtered(open_desk: Any, query: dict[str, str], expected: list[str]) -> None:
    answer = open_desk().get("/v2/options/contracts", **{"underlying_symbols": "XYZ"} | query)

    assert [contract["symbol"] for contract in answer["option_contracts"]] == expected


def test_a_contract_bears_its_terms_and_its_recorded_open_interest(open_desk: Any) -> None:
    contract = open_desk().get(f"/v2/options/contracts/{CALL_95}")

    facts = ("strike_price", "multiplier", "size", "type", "style", "expiration_date", "open_interest", "status")
    assert [contract[name] for name in facts] == ["95", "100", "100", "call", "american", "2024-01-05", "500", "active"]
    assert open_desk().get(f"/v2/options/contracts/{contract['id']}") == contract
    assert open_desk().http.get("/v2/options/contracts/XYZ240105C00001000").status_code == 404


def test_open_interest_that_the_recorder_did_not_know_is_null(open_desk: Any) -> None:
    """A day on which most contracts show no open interest is a day on which nobody was told."""
    trader = open_desk(rows(TUESDAY, 100.0, open_interest=0.0))

    assert trader.get(f"/v2/options/contracts/{CALL_95}")["open_interest"] is None


def test_snapshots_come_in_pages_with_quotes_as_old_as_their_recording(open_desk: Any) -> None:
    trader = open_desk(start="2024-01-03T12:00:00+00:00")

    pages = every_page(trader, "/v1beta1/options/snapshots/XYZ", "snapshots", limit=4)

    assert [len(page) for page in pages] == [4, 3]
    quote = pages[0][CALL_100]["latestQuote"]
    assert (quote["t"], quote["bp"], quote["ap"]) == ("2024-01-02T19:30:00Z", 2.9, 3.0)
    assert set(pages[0][CALL_100]["greeks"]) == {"delta", "gamma", "theta", "vega", "rho"}
    assert pages[0][CALL_100]["impliedVolatility"] == 0.3


@pytest.mark.parametrize(
    "recorded",
    [rows(TUESDAY, 100.0, implied_volatility=1e-5), rows(TUESDAY, 100.0, dict.fromkeys(QUOTES, (0.0, 0.1)))],
    ids=["no volatility was found", "nobody bids"],
)
def test_without_a_bid_or_a_volatility_there_are_no_greeks(open_desk: Any, recorded: Any) -> None:
    snapshots = open_desk(recorded).get("/v1beta1/options/snapshots", symbols=CALL_100)["snapshots"]

    assert "greeks" not in snapshots[CALL_100]


def test_a_chain_is_known_from_its_recording_on_and_not_before(open_desk: Any) -> None:
    later = dict.fromkeys(QUOTES, (7.0, 8.0))
    trader = open_desk(rows(TUESDAY, 100.0), rows(WEDNESDAY, 111.0, later), start="2024-01-02T19:29:59.999999+00:00")

    def seen() -> tuple[Any, Any]:
        quotes = trader.get("/v1beta1/options/quotes/latest", symbols=CALL_100)["quotes"]
        trades = trader.get("/v2/stocks/trades/latest", symbols="XYZ")["trades"]
        return quotes.get(CALL_100, {}).get("ap"), trades.get("XYZ", {}).get("p")

    assert seen() == (None, None)
    assert trader.get("/v2/options/contracts")["option_contracts"] == []
    trader.until(TUESDAY)
    assert seen() == (3.0, 100.0)
    trader.until("2024-01-03T19:29:59.999999+00:00")
    assert seen() == (3.0, 100.0)
    trader.until(WEDNESDAY)
    assert seen() == (8.0, 111.0)


def test_what_comes_later_changes_no_answer(open_desk: Any) -> None:
    """Two recordings that differ only after the clock answer alike, greeks and closes included."""
    futures = [
        (rows(WEDNESDAY, 50.0), {"2024-01-02": 0.01, "2024-01-03": -0.5}),
        (rows(WEDNESDAY, 150.0), {"2024-01-02": 0.01, "2024-01-03": 0.5}),
    ]
    questions: dict[str, dict[str, str]] = {
        "/v1beta1/options/snapshots/XYZ": {},
        "/v2/options/contracts": {},
        "/v2/stocks/snapshots": {"symbols": "XYZ"},
        "/v2/stocks/bars": {"symbols": "XYZ", "timeframe": "1Day", "start": "2023-12-01"},
        "/v2/account": {},
    }

    answers = []
    for future, returns in futures:
        trader = open_desk(rows(TUESDAY, 100.0), future, returns=returns, start="2024-01-03T19:29:00+00:00")
        answers.append([trader.get(path, **query) for path, query in questions.items()])

    assert answers[0] == answers[1]


def test_an_expired_contract_is_no_longer_listed(open_desk: Any) -> None:
    trader = open_desk(start="2024-01-05T21:00:00+00:00")

    assert list(trader.get("/v1beta1/options/snapshots/XYZ")["snapshots"]) == [LATER_CALL_105]


def test_closes_are_rebuilt_from_returns_around_the_first_spot(open_desk: Any) -> None:
    """The first spot stands for its day's close: 100; +10 % the day after, and 100 / 1.25 the session before."""
    returns = {"2023-12-29": 0.5, "2024-01-02": 0.22314355131420976, "2024-01-03": 0.09531017980432493}
    trader = open_desk(returns=returns, start="2024-01-03T21:00:00+00:00")

    bars = trader.get("/v2/stocks/bars", symbols="XYZ", timeframe="1Day", start="2023-12-01")["bars"]["XYZ"]

    assert [(bar["t"][:10], bar["o"], bar["h"], bar["l"], bar["c"], bar["v"]) for bar in bars] == [
        ("2023-12-29", 80.0, 80.0, 80.0, 80.0, 0),
        ("2024-01-02", 100.0, 100.0, 100.0, 100.0, 0),
        ("2024-01-03", 110.0, 110.0, 110.0, 110.0, 0),
    ]
    assert trader.get("/v2/stocks/quotes/latest", symbols="XYZ")["quotes"] == {}


def test_no_rebuilt_close_is_known_before_its_anchor(open_desk: Any) -> None:
    trader = open_desk(returns={"2023-12-29": 0.5, "2024-01-02": 0.1}, start="2024-01-02T19:29:00+00:00")

    assert trader.get("/v2/stocks/bars", symbols="XYZ", timeframe="1Day", start="2023-12-01")["bars"] == {}


def test_underlyings_are_assets_with_options(open_desk: Any) -> None:
    asset = open_desk().get("/v2/assets/XYZ")

    assert (asset["class"], asset["attributes"]) == ("us_equity", ["options_enabled"])


@pytest.mark.parametrize(
    "path",
    [
        "/v1beta1/options/snapshots/XYZ?type=both",
        "/v1beta1/options/snapshots/XYZ?strike_price_gte=low",
        "/v1beta1/options/snapshots/XYZ?page_token=!",
        "/v1beta1/options/snapshots/XYZ?limit=1001",
        "/v1beta1/options/snapshots/XYZ?feed=sip",
        "/v1beta1/options/snapshots",
        "/v2/options/contracts?expiration_date=friday",
    ],
)
def test_a_question_that_cannot_be_read_is_a_400(open_desk: Any, path: str) -> None:
    assert open_desk().http.get(path).status_code == 400


def test_symbols_that_are_no_contracts_are_left_out(open_desk: Any) -> None:
    asked = f"{CALL_95},XYZ,{occ('C', 1)},{occ('C', 95, THIS_WEEK, 'ABC')}"

    assert list(open_desk().get("/v1beta1/options/snapshots", symbols=asked)["snapshots"]) == [CALL_95]
    assert open_desk(rows(FRIDAY, 100.0)).get("/v1beta1/options/snapshots", symbols=asked)["snapshots"] == {}
