"""American greeks from a recorded implied volatility and spot, by QuantLib's QdFp engine.

The engine prices; the greeks are its differences. One option of a fixed one-year life serves every
contract: an American price depends on volatility and time only through volatility x sqrt(time) and
rate x time, so any life, intraday too, is a change of these two quotes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

# The recorded volatilities give back the recorded middles at a rate of zero and without dividends (their median
# distance is 0.001, against 0.02 to 0.03 at the 4.3 % of a Treasury bill), so greeks are of the same model.
RATE_FRAC = 0.0
# Yahoo's solver leaves 1e-5 and its multiples where it found no volatility
SMALLEST_VOLATILITY = 0.01
DAYS_PER_YEAR = 365.0
_SPOT_STEP_FRAC = 0.005
_STEP_DEVIATIONS = 0.1
_TIME_STEP_FRAC = 0.01
_VOLATILITY_STEP = 0.002
_RATE_STEP = 0.0001


@dataclass(frozen=True, slots=True)
class Greeks:
    """Per share: theta a calendar day, vega and rho a percentage point, as Alpaca gives them."""

    delta: float
    gamma: float
    theta: float
    vega: float
    rho: float


def greeks(
    *, is_call: bool, spot: float, strike: float, years: float, volatility: float, rate: float = RATE_FRAC
) -> Greeks | None:
    """The greeks of one contract; None where they mean nothing (expired, or no volatility was found)."""
    if not (years > 0 and volatility >= SMALLEST_VOLATILITY and spot > 0 and strike > 0):
        return None
    option = _pricer()(is_call, strike)
    # a short option bends within a narrow range: the step is a part of what the spot may move until expiry
    step = spot * min(_SPOT_STEP_FRAC, _STEP_DEVIATIONS * volatility * math.sqrt(years))
    here = option(spot, volatility, years, rate)
    above, below = option(spot + step, volatility, years, rate), option(spot - step, volatility, years, rate)
    bump = min(_VOLATILITY_STEP, _STEP_DEVIATIONS * volatility)
    higher, lower = option(spot, volatility + bump, years, rate), option(spot, volatility - bump, years, rate)
    dearer = option(spot, volatility, years, rate + _RATE_STEP)  # upwards only: the engine refuses a negative rate
    span = years * _TIME_STEP_FRAC
    later, sooner = option(spot, volatility, years - span, rate), option(spot, volatility, years + span, rate)
    return Greeks(
        delta=(above - below) / (2 * step),
        gamma=(above - 2 * here + below) / step**2,
        theta=(later - sooner) / (2 * span) / DAYS_PER_YEAR,
        vega=(higher - lower) / (2 * bump) / 100,
        rho=(dearer - here) / _RATE_STEP / 100,
    )


def price(
    *, is_call: bool, spot: float, strike: float, years: float, volatility: float, rate: float = RATE_FRAC
) -> float:
    """The American price per share."""
    return float(_pricer()(is_call, strike)(spot, volatility, years, rate))


@lru_cache(maxsize=1)
def _pricer() -> Any:
    """(is_call, strike) -> (spot, volatility, years, rate) -> price; the process is built once."""
    import QuantLib as ql  # type: ignore[import-untyped]  # 40 ms: only a venue that is asked for greeks pays it

    today = ql.Date(1, ql.January, 2025)
    ql.Settings.instance().evaluationDate = today
    counter = ql.Actual365Fixed()
    spot_quote, volatility_quote, rate_quote = (ql.SimpleQuote(1.0) for _ in range(3))
    process = ql.BlackScholesMertonProcess(
        ql.QuoteHandle(spot_quote),
        ql.YieldTermStructureHandle(ql.FlatForward(today, 0.0, counter)),
        ql.YieldTermStructureHandle(ql.FlatForward(today, ql.QuoteHandle(rate_quote), counter)),
        ql.BlackVolTermStructureHandle(
            ql.BlackConstantVol(today, ql.NullCalendar(), ql.QuoteHandle(volatility_quote), counter)
        ),
    )
    exercise = ql.AmericanExercise(today, today + 365)
    engine = ql.QdFpAmericanEngine(process, ql.QdFpAmericanEngine.fastScheme())

    def contract(is_call: bool, strike: float) -> Any:
        option = ql.VanillaOption(ql.PlainVanillaPayoff(ql.Option.Call if is_call else ql.Option.Put, strike), exercise)
        option.setPricingEngine(engine)

        def priced(spot: float, volatility: float, years: float, rate: float) -> float:
            spot_quote.setValue(spot)
            volatility_quote.setValue(volatility * math.sqrt(years))
            rate_quote.setValue(rate * years)
            return float(option.NPV())

        return priced

    return contract
