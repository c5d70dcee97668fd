"""A whole cycle's compute from the wire to the answers, ours against the libraries that one would take for it.

Fifty stocks' bars and a chain of two thousand contracts over loopback, ten indicators, a forest of 200 trees and the
contracts of a wanted delta. All bars and quotes are recorded ones; what both come to is compared first.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from statistics import median
from typing import Any

import numpy as np
import onnxruntime
import pandas as pd
import pyarrow.compute as compute
import pyarrow.parquet as parquet
import talib
from alpaca.data.historical import OptionHistoricalDataClient, StockHistoricalDataClient
from alpaca.data.requests import OptionChainRequest, StockBarsRequest
from alpaca.data.timeframe import TimeFrame
from sklearn.ensemble import RandomForestClassifier
from vollib.black_scholes.greeks.analytical import delta, gamma, theta, vega

from bench.bars import PAGE, _served
from bench.chains import AS_OF, FIRST_EXPIRY, LAST_EXPIRY, N_PAGES, PAGE_CONTRACTS, UNDERLYING, _recorded_pages
from bench.figures import Figure, at_least
from bench.recorded import RECORDED_STOCKS, folder
from core.data.alpaca import AlpacaData
from core.data.options import AlpacaOptions
from core.indicators import features
from core.ml.models import Forest
from core.model.bars import Bars, FloatArray
from core.model.market import AssetClass, Timeframe
from core.model.options import Right
from core.modules.options.contracts import by_delta
from core.ports import ChainWindow

SYMBOLS = [f"S{chr(65 + number // 26)}{chr(65 + number % 26)}" for number in range(50)]
BARS = 500
START, END = datetime(2015, 1, 1, tzinfo=UTC), datetime(2023, 9, 21, 12, tzinfo=UTC)
LAST = 20
"""The newest bars whose indicators a cycle with a model keeps."""

INDICATORS = ["volatility", "trend_20", "macd", "bollinger", "adx", "atr", "rsi", "cci", "williams", "stochastic"]
TREES, DEPTH, LEAF, SEED = 200, 5, 20, 1
LOW, HIGH = 0.3, 0.6
RATE = 0.0
"""As in the recorded volatilities."""

CLOSES_AT = timedelta(hours=20)
"""New York's close in summer, UTC."""

KEY, SECRET = "venue-key", "venue-secret"
ROUNDS = 7
SAME, SAME_DELTA = 1e-6, 0.02
LEAST = 10.0


@dataclass(frozen=True)
class Answers:
    """`indicators`: (50, 10) at the newest bar. `chances`: (50,). `deltas`: by contract. `chosen`: |delta| of the call
    and the put nearest the middle of LOW and HIGH."""

    indicators: FloatArray
    chances: FloatArray
    deltas: dict[str, float]
    chosen: tuple[float, float]


@dataclass(frozen=True)
class Given:
    """Both sides' clients and the one model, which is loaded in both forms."""

    data: AlpacaData
    options: AlpacaOptions
    stock_client: StockHistoricalDataClient
    option_client: OptionHistoricalDataClient
    forest: RandomForestClassifier
    session: onnxruntime.InferenceSession
    spot: float


def measure() -> list[Figure]:
    """Medians of the rounds' ratios of processor time, in the thread that does the work; the server has another."""
    chain_pages, spot = _chain_pages()
    with _served(_bar_pages()) as bars_url, _served(chain_pages) as chain_url:
        given = _given(bars_url, chain_url, spot)
        _compare(ours(given), theirs(given, prices_greeks=True))
        work = (
            lambda: ours(given),
            lambda: theirs(given, prices_greeks=True),
            lambda: theirs(given, prices_greeks=False),
        )
        rounds = [[_timed(each) for each in work] for _ in range(ROUNDS)]
    our_s, their_s, lean_s = (median(times) for times in zip(*rounds, strict=True))
    ratio, lean = (median(each[side] / each[0] for each in rounds) for side in (1, 2))
    size = f"{len(SYMBOLS)} x {BARS} bars and {N_PAGES * PAGE_CONTRACTS:,} contracts"
    name = f"a cycle's compute, {size}: times faster than "
    detail = f"x ({our_s * 1000:.0f} ms against {their_s * 1000:.0f} ms, median of {ROUNDS})"
    return [
        at_least(name + "alpaca-py, TA-Lib, scikit-learn and vollib", ratio, LEAST, detail=detail),
        Figure(name + "these, reading greeks off the wire as ours does", f"{lean:.2f}x ({lean_s * 1000:.0f} ms)"),
    ]


def ours(given: Given) -> Answers:
    bars = given.data.bars(AssetClass.STOCK, SYMBOLS, timeframe=Timeframe.DAY, start=START, end=END)
    table = _table(bars)[:, :, -1]
    (chances,) = given.session.run(["probabilities"], {"x": table.astype(np.float32)})
    window = ChainWindow(UNDERLYING, FIRST_EXPIRY, LAST_EXPIRY, Decimal(1), Decimal(10_000))
    chain = given.options.chain(window)
    chosen = [by_delta(chain, right, low=LOW, high=HIGH) for right in (Right.CALL, Right.PUT)]
    call, put = (abs(each.delta) if each else np.nan for each in chosen)
    return Answers(table, chances[:, 1], dict(zip(chain.symbols, chain.delta.tolist(), strict=True)), (call, put))


def theirs(given: Given, *, prices_greeks: bool) -> Answers:
    request = StockBarsRequest(symbol_or_symbols=SYMBOLS, timeframe=TimeFrame.Day, start=START, end=END)
    frame: Any = given.stock_client.get_stock_bars(request).df  # type: ignore[union-attr]
    table = np.array([_by_talib(frame.loc[symbol]) for symbol in SYMBOLS])
    chances = given.forest.predict_proba(table.astype(np.float32))[:, 1]
    asked = OptionChainRequest(
        underlying_symbol=UNDERLYING, expiration_date_gte=FIRST_EXPIRY, expiration_date_lte=LAST_EXPIRY
    )
    contracts: Any = given.option_client.get_option_chain(asked)
    deltas = {}
    for symbol, snapshot in contracts.items():
        if prices_greeks:
            deltas[symbol] = _priced(symbol, snapshot.implied_volatility, given.spot)[0]
        else:
            deltas[symbol] = snapshot.greeks.delta if snapshot.greeks else np.nan
    chains = pd.DataFrame({"delta": pd.Series(deltas).abs(), "is_call": [symbol[-9] == "C" for symbol in deltas]})
    near = chains[chains["delta"].between(LOW, HIGH)]
    nearest = (near["delta"] - (LOW + HIGH) / 2).abs().groupby(near["is_call"]).idxmin()
    return Answers(table, chances, deltas, (near["delta"][nearest[True]], near["delta"][nearest[False]]))


def _table(bars: Bars) -> FloatArray:
    """(50, 10, LAST) our indicators."""
    columns = features(bars, last=LAST).columns
    return np.stack([columns[name] for name in INDICATORS], axis=1)


def _by_talib(bars: pd.DataFrame) -> list[float]:
    """The ten indicators of one symbol at its newest bar."""
    prices = [bars[name].to_numpy() for name in ("high", "low", "close")]
    high, low, close = (np.log(each) for each in prices)
    volatility = talib.STDDEV(np.diff(close), 20)[-1]
    return [
        volatility,
        talib.MOM(close, 20)[-1] / (volatility * np.sqrt(20)),
        talib.MACD(close, 12, 26, 9)[2][-1] / volatility,
        (close[-1] - talib.SMA(close, 20)[-1]) / talib.STDDEV(close, 20)[-1],
        talib.ADX(high, low, close, 14)[-1],
        talib.ATR(prices[0], prices[1], prices[2], 14)[-1],
        talib.RSI(close, 14)[-1],
        talib.CCI(high, low, close, 20)[-1],
        talib.WILLR(high, low, close, 14)[-1],
        talib.STOCHF(high, low, close, 14, 3)[1][-1],
    ]


def _priced(symbol: str, volatility: float | None, spot: float) -> tuple[float, float, float, float]:
    """Delta, gamma, theta and vega by Black and Scholes."""
    expires_at = datetime.strptime(symbol[-15:-9], "%y%m%d").replace(tzinfo=UTC) + CLOSES_AT
    years = (expires_at - AS_OF) / timedelta(days=365)
    if volatility is None or years <= 0:
        return (np.nan,) * 4
    given = (symbol[-9].lower(), spot, int(symbol[-8:]) / 1000, years, RATE, volatility)
    return delta(*given), gamma(*given), theta(*given), vega(*given)


def _compare(mine: Answers, other: Answers) -> None:
    """`ValueError` unless both come to the same; greeks of two models agree within two hundredths of a delta."""
    for name in ("indicators", "chances", "chosen"):
        tolerance = SAME_DELTA if name == "chosen" else SAME
        if not np.allclose(getattr(mine, name), getattr(other, name), rtol=tolerance, atol=tolerance):
            raise ValueError(f"the {name} differ: {getattr(mine, name)} and {getattr(other, name)}")
    if list(mine.deltas) != list(other.deltas) or len(mine.deltas) != N_PAGES * PAGE_CONTRACTS:
        raise ValueError(f"the chains have {len(mine.deltas)} and {len(other.deltas)} contracts")
    apart = np.abs(np.array([mine.deltas[each] - other.deltas[each] for each in mine.deltas]))
    apart = apart[np.isfinite(apart)]
    if np.quantile(apart, 0.95) > SAME_DELTA or len(apart) < 0.8 * len(mine.deltas):
        raise ValueError(f"of {len(apart)} deltas 5 % are {np.quantile(apart, 0.95):.3f} apart or more")


def _given(bars_url: str, chain_url: str, spot: float) -> Given:
    data = AlpacaData(bars_url, key=KEY, secret=SECRET)
    bars = data.bars(AssetClass.STOCK, SYMBOLS, timeframe=Timeframe.DAY, start=START, end=END)
    past = np.stack([features(bars).columns[name] for name in INDICATORS], axis=-1)[:, :-5]
    x = past.reshape(-1, len(INDICATORS)).astype(np.float32)
    rose = (bars.close[:, 5:] > bars.close[:, :-5]).ravel()
    known = np.isfinite(x).all(axis=1)
    forest = RandomForestClassifier(TREES, max_depth=DEPTH, min_samples_leaf=LEAF, random_state=SEED)
    forest.fit(x[known], rose[known])
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return Given(
        data=data,
        options=AlpacaOptions(chain_url, chain_url, key=KEY, secret=SECRET, feed="indicative"),
        stock_client=StockHistoricalDataClient(KEY, SECRET, url_override=bars_url),
        option_client=OptionHistoricalDataClient(KEY, SECRET, url_override=chain_url),
        forest=forest,
        session=onnxruntime.InferenceSession(Forest(forest).onnx(), options, providers=["CPUExecutionProvider"]),
        spot=spot,
    )


def _bar_pages() -> dict[str, bytes]:
    """The newest recorded bars of six stocks under fifty names, as Alpaca pages them."""
    rows: list[tuple[str, dict[str, Any]]] = []
    recorded = parquet.read_table(folder("stocks-daily") / "stocks_1d.parquet")
    for place, symbol in enumerate(SYMBOLS):
        own = recorded.filter(compute.equal(recorded["symbol"], RECORDED_STOCKS[place % len(RECORDED_STOCKS)]))
        for bar in own.slice(own.num_rows - BARS).to_pylist():
            at = f"{bar['t']:%Y-%m-%dT%H:%M:%SZ}"
            prices = {name: bar[name] for name in "ohlcv"}
            rows.append((symbol, {"t": at, **prices, "n": 1, "vw": bar["c"]}))
    pages: dict[str, bytes] = {}
    for first in range(0, len(rows), PAGE):
        bars: dict[str, list[dict[str, Any]]] = {}
        for symbol, row in rows[first : first + PAGE]:
            bars.setdefault(symbol, []).append(row)
        following = str(first + PAGE) if first + PAGE < len(rows) else None
        pages[str(first) if first else ""] = json.dumps({"bars": bars, "next_page_token": following}).encode()
    return pages


def _chain_pages() -> tuple[dict[str, bytes], float]:
    """The venue's answers of the recorded chain, ended after the measured pages, and the price it was recorded at."""
    answers = [json.loads(page) for page in _recorded_pages()[0]]
    tokens = ["", *(answer["next_page_token"] for answer in answers[:-1])]
    answers[-1]["next_page_token"] = None
    columns = ["underlying", "as_of", "spot_price"]
    recorded = parquet.read_table(folder("option-chains") / "chains.parquet", columns=columns)
    own = recorded.filter(compute.equal(recorded["underlying"], UNDERLYING))
    latest = max(row["as_of"] for row in own.to_pylist() if row["as_of"] <= AS_OF)
    spot = own.filter(compute.equal(own["as_of"], latest))["spot_price"][0].as_py()
    return {token: json.dumps(answer).encode() for token, answer in zip(tokens, answers, strict=True)}, float(spot)


def _timed(work: Callable[[], object]) -> float:
    started_s = time.thread_time()
    work()
    return time.thread_time() - started_s
