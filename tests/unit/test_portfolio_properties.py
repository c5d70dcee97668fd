"""The whole judgement over random accounts: no cap is ever exceeded, no cash overspent, no exit blocked."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from core.decide import decide
from core.model.bars import Bars, FloatArray, from_rows
from core.model.judgement import Mode, Opportunity, Snapshot
from core.model.limits import SafetyLimits
from core.model.market import AssetClass, Timeframe
from core.model.orders import OrderIntent, Purpose
from core.model.universe import sector
from core.modules import module_named
from core.risk.allocation import class_share
from core.units import floor_to
from tests.builders import AS_OF, limits, mode_state, rows, usd, wandering
from tests.unit.portfolios import COIN, OPTION, SHARE, SYMBOLS, Desk, Ledger, accounts, between, idea_of, ideas

DAY_S = 86_400
N_BARS = 120
CENT = Decimal("0.01")
CLASSES = st.sampled_from([COIN, SHARE, OPTION])
CHANCE = st.integers(0, 2**32).map(Random)
"""A seeded generator: its accounts are spread evenly, where drawn numbers would crowd at their ends."""
Windows = Callable[[int], Bars]


def walks(seed: int) -> Bars:
    """Seeded walks of every symbol; XYZ has no bars, and NVDA moves with AAPL."""
    names = (*SYMBOLS[COIN], *SYMBOLS[SHARE][:-1])
    closes = {name: rows(wandering(seed * 10 + index)) for index, name in enumerate(names)}
    return from_rows(Timeframe.DAY, {**closes, "NVDA": closes["AAPL"]})


@pytest.fixture(scope="module")
def recorded() -> Windows:
    """Random windows of the recorded daily bars, moved in time so that the newest one ends today."""
    parquet = pytest.importorskip("pyarrow.parquet")
    home = Path(os.environ.get("CRONFOLIO_DATA_DIR") or Path.home() / ".cache/cronfolio/data")
    files = [home / "crypto-daily/crypto_1d.parquet", home / "stocks-daily/stocks_1d.parquet"]
    if not all(file.exists() for file in files):
        pytest.skip(f"no recorded daily bars in {home}; `cronfolio data fetch` brings them")
    history: dict[str, FloatArray] = {}
    for file in files:
        table = parquet.read_table(file).to_pydict()
        columns = np.column_stack([np.asarray(table[name], dtype=float) for name in "ohlcv"])
        for symbol in dict.fromkeys(table["symbol"]):
            history[symbol] = columns[np.asarray(table["symbol"]) == symbol]

    def window(seed: int) -> Bars:
        cut = np.random.default_rng(seed)
        newest_s = AS_OF.timestamp() // DAY_S * DAY_S - DAY_S
        times = newest_s - DAY_S * np.arange(N_BARS)[::-1]
        tables = {}
        for symbol, table in history.items():
            end = int(cut.integers(N_BARS, len(table) + 1))
            tables[symbol] = np.column_stack([times, table[end - N_BARS : end]])
        return from_rows(Timeframe.DAY, tables)

    return window


def check_caps(moment: Snapshot, ledger: Ledger, of: AssetClass, accepted: list[OrderIntent]) -> None:
    """Add the accepted entries to the ledger by hand and hold it against every limit that they touched."""
    risk, equity = moment.limits.risk, moment.account.equity_usd
    before = dict(ledger.amounts)
    spent = Decimal(0)
    for entry in accepted:
        assert entry.quantity > 0
        cost = entry.unit_cost_usd if entry.unit_cost_usd is not None else entry.limit_price
        assert cost is not None
        loss = (entry.max_loss_usd or Decimal(0)) * entry.quantity
        assert cost * entry.quantity <= risk.max_entry_frac * equity + CENT
        ledger.add(of, entry.counts_as, max(cost * entry.quantity, loss))
        ledger.option_risk += loss
        spent += cost * entry.quantity
    if not accepted:
        return
    at_work = ledger.amounts
    touched = {entry.counts_as for entry in accepted}
    for name in touched:
        of_symbol = sum(dollars for (_, each), dollars in at_work.items() if each == name)
        of_sector = sum(dollars for (_, each), dollars in at_work.items() if sector(each) == sector(name))
        assert of_symbol <= risk.max_symbol_frac * equity + CENT
        assert of_sector <= risk.max_sector_frac * equity + CENT
    share, _ = class_share(moment, of)
    assert sum(dollars for (each, _), dollars in at_work.items() if each is of) <= share * equity + CENT
    assert sum(at_work.values()) <= risk.max_gross_frac * equity + CENT
    powers = {COIN: Decimal("Infinity"), SHARE: moment.account.buying_power_usd}
    power = min(moment.account.non_marginable_buying_power_usd, powers.get(of, moment.account.options_buying_power_usd))
    if spent:
        assert power - ledger.unlisted - spent >= risk.cash_floor_frac * equity - CENT
    names = {name for _, name in before}
    if touched - names:
        assert len({name for _, name in at_work}) <= risk.max_positions
    if of is OPTION:
        assert ledger.option_risk <= risk.max_option_risk_frac * equity + CENT
    check_correlation(moment, of, at_work, accepted[-1])


def check_correlation(
    moment: Snapshot, of: AssetClass, at_work: dict[tuple[AssetClass, str], Decimal], newest: OrderIntent
) -> None:
    """With the last entry counted, what moves with it stays below its cap; unknown pairs count in full."""
    bars = moment.bars
    moving = 0.0
    for (each, name), dollars in at_work.items():
        if each is not of:
            continue
        pair = [bars.row(newest.counts_as), bars.row(name)]
        known = None not in pair and name != newest.counts_as
        returns = np.diff(np.log(bars.close[[row for row in pair if row is not None], -61:])) if known else None
        moving += float(dollars) * (1.0 if returns is None else max(0.0, float(np.corrcoef(returns)[0, 1])))
    assert moving <= float(moment.limits.risk.max_correlated_frac * moment.account.equity_usd) + 0.01


@given(CLASSES, st.integers(0, 10**6), CHANCE)
@examples(max_examples=300)
def test_no_cap_is_ever_exceeded_on_walks(of: AssetClass, seed: int, chance: Random) -> None:
    """I-12, I-13, I-14, I-15, I-16, I-41, I-46: every cap over every class, whatever else is held or ordered."""
    moment, ledger = accounts(chance, walks(seed))

    answer = decide(moment, Desk(of, ideas(chance, of)))

    check_caps(moment, ledger, of, list(answer.intents))


@given(CLASSES, st.integers(0, 10**6), CHANCE)
@examples(max_examples=200)
def test_no_cap_is_ever_exceeded_on_recorded_prices(
    recorded: Windows, of: AssetClass, seed: int, chance: Random
) -> None:
    """I-12 to I-16 with the correlations of real markets."""
    moment, ledger = accounts(chance, recorded(seed))

    answer = decide(moment, Desk(of, ideas(chance, of)))

    check_caps(moment, ledger, of, list(answer.intents))


@given(st.integers(0, 10**6), CHANCE)
@examples(max_examples=100)
def test_crypto_keeps_every_cap_and_sells_only_what_is_free(recorded: Windows, seed: int, chance: Random) -> None:
    """I-12, I-35, I-43, Q13: the module itself, over real prices."""
    moment, ledger = accounts(chance, recorded(seed))
    moment = replace(moment, assets={symbol: moment.assets[symbol] for symbol in SYMBOLS[COIN]})

    answer = decide(moment, module_named("crypto"))

    entries = [each for each in answer.intents if each.purpose.opens_risk]
    free = {each.symbol: each.available_quantity for each in moment.positions}
    sales = [each for each in answer.intents if not each.purpose.opens_risk]
    check_caps(moment, ledger, COIN, entries)
    assert all(0 < each.quantity <= free[each.symbol] for each in sales)
    assert len({each.symbol for each in answer.intents}) == len(answer.intents)


def bought(moment: Snapshot, idea: Opportunity, of: AssetClass) -> Decimal:
    return sum((each.quantity for each in decide(moment, Desk(of, (idea,))).intents), Decimal(0))


@given(CLASSES, CHANCE)
@examples(max_examples=200)
def test_worse_facts_never_buy_more(of: AssetClass, chance: Random) -> None:
    """I-17, I-18, I-69: a deeper drawdown, a worse month, a higher risk, which shrinks the idea's size factor."""
    moment, _ = accounts(chance, walks(1))
    idea = idea_of(chance, of, chance.choice(SYMBOLS[of]))
    low, high = sorted((between(chance, "0.70", "1.30"), between(chance, "0.70", "1.30")))
    equity = moment.account.equity_usd
    own = moment.books.marks

    def with_marks(**changes: Any) -> Snapshot:
        return replace(moment, books=replace(moment.books, marks=replace(own, **changes)))

    deep, shallow = with_marks(peak_usd=equity * high), with_marks(peak_usd=equity * low)
    bad, good = with_marks(month_start_usd=equity * high), with_marks(month_start_usd=equity * low)

    assert bought(deep, idea, of) <= bought(shallow, idea, of)
    assert bought(bad, idea, of) <= bought(good, idea, of)
    assert bought(moment, replace(idea, size_factor=low), of) <= bought(moment, replace(idea, size_factor=high), of)


HOSTILE = SafetyLimits(are_entries_enabled=False, max_entries_per_day=1, max_entries_per_5_minutes=1)


@given(CLASSES, st.sampled_from([Mode.ACTIVE, Mode.REDUCING]), CHANCE)
def test_no_exit_is_ever_blocked(of: AssetClass, mode: Mode, chance: Random) -> None:
    """I-38, I-40, I-42: exits, trims and protection leave in full whatever account, limits and gates say."""
    moment, _ = accounts(chance, walks(2))
    held = [each for each in moment.positions if each.asset_class is of and each.quantity >= 1]
    purposes = [chance.choice((Purpose.EXIT, Purpose.TRIM, Purpose.PROTECT)) for _ in held]
    exits = tuple(
        Opportunity(
            each.symbol, purpose, "momentum", 1.0, "drawn", each.price, quantity=floor_to(each.quantity, usd(1))
        )
        for each, purpose in zip(held, purposes, strict=True)
    )
    shut = replace(
        moment,
        mode=mode_state(mode),
        account=replace(
            moment.account,
            is_trading_allowed=False,
            restriction="blocked",
            non_marginable_buying_power_usd=usd(-1),
            last_equity_usd=moment.account.equity_usd * 2,
        ),
        books=replace(moment.books, rejected_at=(AS_OF,) * 9),
        limits=limits(safety=HOSTILE, risk=replace(moment.limits.risk, max_positions=1)),
    )

    answer = decide(shut, Desk(of, ideas(chance, of), exits))

    assert [(each.symbol, each.purpose, each.quantity) for each in answer.intents] == [
        (each.symbol, each.purpose, each.quantity) for each in exits
    ]
