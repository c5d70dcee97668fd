"""The venue's greeks against two others: vollib's closed forms, and a binomial tree for what is exercised early.

Without dividends nobody exercises a call early, nor a put at a rate of zero: there Black and Scholes hold exactly.
"""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from vollib.black_scholes.greeks.analytical import delta, gamma, rho, theta, vega
from vollib.black_scholes.implied_volatility import implied_volatility

from venue.calendar import sessions_around
from venue.options.chains import Chain, expiry_close_us, read_chains
from venue.options.greeks import RATE_FRAC, Greeks, greeks, price
from venue.wire import from_us

RECORDED = Path(os.environ.get("CRONFOLIO_DATA_DIR") or "~/.cache/cronfolio/data").expanduser() / "option-chains"
YEAR_US = 365 * 86_400e6
TOLERANCE = {"delta": 0.002, "gamma": 0.0005, "theta": 0.002, "vega": 0.002, "rho": 0.002}
FORMULAS = {"delta": delta, "gamma": gamma, "theta": theta, "vega": vega, "rho": rho}
CONTRACTS = 400


@pytest.fixture(scope="module")
def chains() -> list[Chain]:
    """The chains of two stocks and a fund on 2025-06-17."""
    if not (RECORDED / "chains.parquet").exists():
        pytest.skip(f"the recorded chains are not in {RECORDED}: run `cronfolio data fetch option-chains`")
    filters = [("underlying", "in", ["AAPL", "SPY", "TSLA"]), ("snapshot_date", "==", date(2025, 6, 17))]
    found = read_chains(pd.read_parquet(RECORDED / "chains.parquet", filters=filters))
    return [chain for one in found.by_underlying.values() for chain in one]


def sample(chains: list[Chain], *, calls: bool) -> list[tuple[Chain, int, float]]:
    """Every k-th quoted contract with greeks: the chain, its row, and years to expiry."""
    found = []
    for chain in chains:
        sessions = sessions_around(from_us(chain.as_of_us), from_us(chain.as_of_us))
        for row, contract in enumerate(chain.contracts):
            volatility = chain.implied_volatility(row)
            if contract.is_call is calls and volatility is not None and chain.bids[row] > 0:
                years = (expiry_close_us(contract, sessions) - chain.as_of_us) / YEAR_US
                found.append((chain, row, years))
    return found[:: max(len(found) // CONTRACTS, 1)]


def facts(chain: Chain, row: int, years: float) -> dict[str, Any]:
    contract = chain.contracts[row]
    return {
        "is_call": contract.is_call,
        "spot": chain.spot,
        "strike": float(contract.strike),
        "years": years,
        "volatility": float(chain.implied_volatilities[row]),
    }


def tree_price(
    spots: np.ndarray, strikes: np.ndarray, years: np.ndarray, volatilities: np.ndarray, rates: float, steps: int = 500
) -> np.ndarray:
    """American puts by Cox, Ross and Rubinstein (1979); the mean of two trees, whose errors alternate."""
    values = []
    for count in (steps, steps + 1):
        dt = (years / count)[:, None]
        up = np.exp(volatilities[:, None] * np.sqrt(dt))
        weight = (np.exp(rates * dt) - 1 / up) / (up - 1 / up)
        discount = np.exp(-rates * dt)
        nodes = spots[:, None] * up ** (2 * np.arange(count + 1) - count)
        value = np.maximum(strikes[:, None] - nodes, 0)
        for level in range(count - 1, -1, -1):
            value = discount * (weight * value[:, 1:] + (1 - weight) * value[:, :-1])
            nodes = spots[:, None] * up ** (2 * np.arange(level + 1) - level)
            value = np.maximum(value, strikes[:, None] - nodes)
        values.append(value[:, 0])
    return np.asarray(np.mean(values, axis=0))


@pytest.mark.parametrize("calls", [True, False], ids=["calls", "puts"])
def test_greeks_of_recorded_contracts_agree_with_vollib(chains: list[Chain], calls: bool) -> None:
    contracts = sample(chains, calls=calls)
    worst = dict.fromkeys(TOLERANCE, 0.0)

    for chain, row, years in contracts:
        given = facts(chain, row, years)
        ours = greeks(**given)
        assert ours is not None
        for name, formula in FORMULAS.items():
            if name == "rho" and not calls:
                continue  # from a rate of zero upwards a put is exercised early, and its rho is another
            flag = "c" if calls else "p"
            theirs = formula(flag, given["spot"], given["strike"], years, RATE_FRAC, given["volatility"])
            worst[name] = max(worst[name], abs(getattr(ours, name) - theirs))

    assert len(contracts) >= CONTRACTS
    assert all(worst[name] <= TOLERANCE[name] for name in TOLERANCE), f"n={len(contracts)}, worst {worst}"


def test_early_exercise_of_recorded_puts_agrees_with_a_tree(chains: list[Chain]) -> None:
    rate = 0.043
    contracts = [one for one in sample(chains, calls=False) if one[2] > 0.02][::4]
    given = [facts(*one) | {"rate": rate} for one in contracts]
    spots, strikes, years, volatilities = (
        np.array([one[name] for one in given]) for name in ("spot", "strike", "years", "volatility")
    )
    step = spots * 0.01

    middle = tree_price(spots, strikes, years, volatilities, rate)
    above = tree_price(spots + step, strikes, years, volatilities, rate)
    below = tree_price(spots - step, strikes, years, volatilities, rate)

    ours = np.array([price(**one) for one in given])
    deltas = np.array([found.delta for one in given if (found := greeks(**one)) is not None])
    price_error = np.abs(ours - middle) / spots
    delta_error = np.abs(deltas - (above - below) / (2 * step))
    shown = f"n={len(given)}, worst price {price_error.max():.6f} of the spot, worst delta {delta_error.max():.4f}"
    assert len(given) >= 80
    assert price_error.max() <= 0.0002, shown
    assert delta_error.max() <= 0.01, shown


@pytest.mark.parametrize("calls", [True, False], ids=["calls", "puts"])
def test_implied_volatilities_agree_with_vollib_and_with_the_recorded_ones(chains: list[Chain], calls: bool) -> None:
    """The volatility at which the venue's engine gives the quoted middle."""
    ours, theirs, recorded = [], [], []
    for chain, row, years in sample(chains, calls=calls):
        given = facts(chain, row, years)
        middle = float(chain.quote(row).mid)
        intrinsic = max((given["spot"] - given["strike"]) * (1 if calls else -1), 0.0)
        is_near = 0.8 < given["strike"] / given["spot"] < 1.25
        # a middle at or below the intrinsic value has no volatility
        if years < 0.02 or not is_near or middle < intrinsic + 0.1:
            continue
        low, high = 0.01, 3.0
        for _ in range(40):
            volatility = (low + high) / 2
            is_low = price(**given | {"volatility": volatility}) < middle
            low, high = (volatility, high) if is_low else (low, volatility)
        ours.append((low + high) / 2)
        flag = "c" if calls else "p"
        theirs.append(implied_volatility(middle, given["spot"], given["strike"], years, RATE_FRAC, flag))
        recorded.append(given["volatility"])

    error = np.abs(np.array(ours) - np.array(theirs)).max()
    median = np.median(np.abs(np.array(ours) - np.array(recorded)))
    assert len(ours) >= 100
    assert error <= 1e-6, f"n={len(ours)}, worst {error:.8f}"
    assert median <= 0.003, f"n={len(ours)}, median distance to the recorded volatilities {median:.4f}"


def test_a_call_worked_by_hand() -> None:
    """S=100, K=105, a quarter, 30 %, 4 %: d1 = (ln(100/105) + 0.085 x 0.25) / 0.15 = -0.183601."""
    found = greeks(is_call=True, spot=100.0, strike=105.0, years=0.25, volatility=0.3, rate=0.04)

    assert isinstance(found, Greeks)
    # N(d1), n(d1) / 15, 100 n(d1) / 200
    assert found.delta == pytest.approx(0.427163, abs=1e-4)
    assert found.gamma == pytest.approx(0.026152, abs=1e-4)
    assert found.vega == pytest.approx(0.196137, abs=1e-4)


def test_early_exercise_is_respected() -> None:
    deep = greeks(is_call=False, spot=60.0, strike=100.0, years=1.0, volatility=0.2, rate=0.05)

    assert deep is not None
    assert deep.delta == pytest.approx(-1.0, abs=1e-4)
    worth = price(is_call=False, spot=60.0, strike=100.0, years=1.0, volatility=0.2, rate=0.05)
    assert worth == pytest.approx(40.0, abs=1e-4)


@pytest.mark.parametrize(
    "change", [{"years": 0.0}, {"years": -0.1}, {"volatility": 1e-5}, {"volatility": float("nan")}]
)
def test_what_has_no_greeks_has_none(change: dict[str, float]) -> None:
    given: dict[str, Any] = {"is_call": True, "spot": 100.0, "strike": 100.0, "years": 0.1, "volatility": 0.2}

    assert greeks(**given | change) is None
