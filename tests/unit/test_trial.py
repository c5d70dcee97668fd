"""Opinions on trial, worked by hand: Brier scores, returns, the shadow book's dollars, and when a source is muted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from math import exp
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

from core.decide import decide
from core.documents import document, parsed, plain
from core.intelligence.advice import halved_by, trimmed_by
from core.intelligence.signals import CURRENT_PATH, MUTED, fault, stored_signals
from core.intelligence.trial import Past, SentOrder, Tally, Trial, Week, brier, outcome, past_of, scored, verdict
from core.model.intelligence import COMPUTED, Purpose, Signal
from core.model.orders import OrderClass
from core.model.orders import Purpose as OrderPurpose
from core.modules import module_named
from core.ports import Document
from core.risk.regime import MarketState
from tests.builders import AS_OF, BTC, ETH, bars, falling, rising, signal, snapshot, usd
from tests.unit.test_advice import ANY_SIGNALS, CHANCE, buying_btc, drawn, entries, holding_btc, trims

REGIME, RISK, OPPORTUNITY = Purpose.MARKET_REGIME, Purpose.POSITION_RISK, Purpose.OPPORTUNITY
NOON = datetime(2026, 1, 21, 12, tzinfo=UTC)
"""A Wednesday, and the 21st day of these closes: the day's own close is still to come."""
FREE = Decimal(0)
WAVE = [100 * exp(0.01 * (day % 2)) for day in range(21)]
"""Up and down by one percent in turn. The deviation of 20 such moves is 0.01 * sqrt(20/19) = 0.01026, so that a neutral
week moves less than 0.43 * 0.01026 * sqrt(7) = 0.01167."""


def past(fee: str = "0", **weeks: float) -> Past:
    """For each name 21 closes up to today's, at 100, and seven more that end this much higher."""
    days = np.datetime64("2026-01-01", "us") + np.arange(28) * np.timedelta64(1, "D")
    closes = {name: np.array([*WAVE, *[50.0] * 6, 100 * (1 + change)]) for name, change in weeks.items()}
    named = {"BTC": BTC, "ETH": ETH}
    found = {named.get(name, name): (days, each) for name, each in closes.items()}
    return Past(found, frozenset({BTC, ETH}), Decimal(fee))


def said(kind: Purpose, **changes: Any) -> Signal:
    return signal(kind, at=NOON, expires_at=NOON + timedelta(hours=12), **changes)


def sent(reason: str = "breakout", purpose: OrderPurpose = OrderPurpose.ENTRY, **changes: Any) -> SentOrder:
    """Ten coins at 100 dollars, six minutes after the opinion."""
    at = NOON + timedelta(minutes=6)
    plain_order = SentOrder(BTC, purpose, OrderClass.SIMPLE, Decimal(10), reason, at, Decimal(100))
    return replace(plain_order, **changes)


def tried(
    known: Past, signals: Sequence[Signal] = (), orders: Sequence[SentOrder] = (), *, cost: Decimal = FREE
) -> Trial:
    return scored(Trial("adviser"), NOON, signals, cost, orders, known)


@pytest.mark.parametrize(
    ("change", "was"), [(0.02, "bullish"), (0.0117, "neutral"), (-0.0116, "neutral"), (-0.02, "bearish")]
)
def test_market_is_neutral_within_its_own_volatility(change: float, was: str) -> None:
    """Its log moves are 0.0198, 0.01163, -0.01167 and -0.0202; the band ends at 0.01167."""
    assert outcome(past(crypto=change), "crypto", NOON) is MarketState(was)


@pytest.mark.parametrize(
    ("confidence", "was", "score"),
    [
        (0.6, "bearish", 0.24),
        (0.6, "bullish", 1.04),
        (1.0, "bearish", 0.0),
        (1.0, "neutral", 2.0),
        (1 / 3, "neutral", 2 / 3),
    ],
)
def test_brier_score(confidence: float, was: str, score: float) -> None:
    """0.6 on bearish leaves 0.2 each: right is 0.4^2 + 2 * 0.2^2, wrong is 0.6^2 + 0.8^2 + 0.2^2."""
    assert brier("bearish", confidence, MarketState(was)) == pytest.approx(score)


def test_regime_of_both_markets_is_two_opinions() -> None:
    """0.9 on bearish: 0.1^2 + 2 * 0.05^2 where it fell, 0.9^2 + 0.95^2 + 0.05^2 where it rose."""
    trial = tried(past(crypto=-0.05, stocks=0.05), [said(REGIME)])

    assert (trial.regimes.n, trial.regimes.hits) == (2, 1)
    assert trial.regimes.total == pytest.approx(0.015 + 1.715)


def test_opportunity_is_measured_against_its_market() -> None:
    trial = tried(past(crypto=0.04, BTC=0.10, ETH=0.01), [said(OPPORTUNITY), said(OPPORTUNITY, symbol=ETH)])

    assert (trial.opportunities.n, trial.opportunities.hits) == (2, 1)
    assert trial.opportunities.total == pytest.approx(0.06 - 0.03)


def test_risk_came_true_where_the_price_fell() -> None:
    trial = tried(past(crypto=0.0, BTC=-0.1), [said(RISK), said(RISK, score=0.5), said(RISK, confidence=0.5)])

    assert (trial.risks.n, trial.risks.hits) == (1, 1), "the others change nothing, so they are not on trial"
    assert trial.risks.total == pytest.approx(-0.1)


def test_what_has_no_price_is_counted_and_not_scored() -> None:
    trial = tried(past(), [said(REGIME, symbol="crypto"), said(OPPORTUNITY), said(RISK)])

    assert (trial.scored, trial.unscored) == (0, 3)


def test_week_without_its_last_close_is_no_week() -> None:
    """Three days without a close are bridged at its end, as over a weekend, and four are not."""
    days, closes = past(BTC=0.1).closes[BTC]
    short = Past({BTC: (days[:25], closes[:25])}, frozenset({BTC}), FREE)

    assert past(BTC=0.1).change(BTC, NOON) == pytest.approx(0.1)
    assert short.change(BTC, NOON) == pytest.approx(-0.5)
    assert Past({BTC: (days[:24], closes[:24])}, frozenset(), FREE).change(BTC, NOON) is None
    hole = np.r_[0:16, 21:28]
    assert Past({BTC: (days[hole], closes[hole])}, frozenset(), FREE).change(BTC, NOON) is None, "nor at its begin"


@given(st.lists(st.floats(1, 1000), min_size=20, max_size=20), st.floats(1, 1000))
def test_nothing_that_was_known_or_comes_later_moves_a_return(before: list[float], after: float) -> None:
    """Forward only, from the close of that day to the close a week later."""
    days, closes = past(BTC=0.1).closes[BTC]
    days = np.append(days, days[-1] + np.timedelta64(1, "D"))
    other = Past({BTC: (days, np.array([*before, *closes[20:], after]))}, frozenset(), FREE)

    assert other.change(BTC, NOON) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("order", "signals", "figures"),
    [
        (sent("breakout, half size as the market is bearish by adviser; cap"), [], (105, 0, 0)),
        (sent("breakout, half size as the market is bearish by other; cap"), [], (0, 0, 0)),
        (sent("breakout, half size as the market is bearish; cap"), [], (0, 0, 0)),
        (sent("trim: half, as adviser rated its risk 0.90", OrderPurpose.TRIM), [], (0, 100, 0)),
        (sent(), [said(OPPORTUNITY)], (0, 0, -60)),
        (sent("stop", OrderPurpose.EXIT), [said(OPPORTUNITY)], (0, 0, 0)),
        (sent(), [said(OPPORTUNITY, symbol=ETH)], (0, 0, 0)),
    ],
)
def test_shadow_book(order: SentOrder, signals: list[Signal], figures: tuple[int, int, int]) -> None:
    """From 100 to 90: the other ten coins were not bought, which saves 100 and 0.25 % of 1000 twice; ten that were sold
    save 100; ten that were put first lost 10 % in a market that lost 4 %."""
    trial = tried(past(fee="0.0025", crypto=-0.04, BTC=-0.10), signals, [order], cost=usd("0.40"))

    found = [round(each, 6) for each in (trial.halved_usd, trial.trimmed_usd, trial.picked_usd)]
    assert found == [usd(figure) for figure in figures]
    assert trial.weeks == (Week(date(2026, 1, 19), trial.scored, trial.gained_usd - usd("0.40")),)
    assert trial.cost_usd == usd("0.40")


@pytest.mark.parametrize(("minutes", "is_its_own"), [(-1, False), (0, True), (719, True), (720, False)])
def test_pick_earns_on_what_was_bought_while_it_lived(minutes: int, is_its_own: bool) -> None:
    """Said at noon and for twelve hours; 1000 dollars gain 4 % more than the market."""
    order = sent(created_at=NOON + timedelta(minutes=minutes))

    trial = tried(past(crypto=0.06, BTC=0.10), [said(OPPORTUNITY)], [order])

    assert round(trial.picked_usd, 6) == (40 if is_its_own else 0)


def test_split_in_the_week_is_no_gain() -> None:
    """Ten for one after the order: its price is from before, and the closes, all adjusted, stand still."""
    days, closes = past(BTC=0.0).closes[BTC]
    still = Past({BTC: (days, np.full_like(closes, 10.0))}, frozenset(), FREE)

    trial = tried(still, orders=[sent("trim: half, as adviser rated its risk 0.90", OrderPurpose.TRIM)])

    assert (trial.trimmed_usd, trial.unscored) == (FREE, 0)


@pytest.mark.parametrize(
    "order",
    [
        sent(symbol="BTC260417C00200000"),
        sent(order_class=OrderClass.MULTI_LEG),
        sent(reference_price=None),
    ],
)
def test_order_that_daily_closes_do_not_price_has_no_value(order: SentOrder) -> None:
    halved = replace(order, reason="half size as the market is bearish by adviser")

    assert tried(past(BTC=-0.1), orders=[halved]) == replace(tried(past(BTC=-0.1)), unscored=1)


def test_computed_halving_is_the_baselines() -> None:
    known, reason = past(BTC=-0.1), "breakout, half size as the market is bearish{}; cap"

    found = [
        scored(Trial(COMPUTED), NOON, [], FREE, [sent(reason.format(by))], known).halved_usd
        for by in ("", " by the last run's facts", " by adviser")
    ]

    assert [round(each, 6) for each in found] == [100, 100, 0]


def test_reasons_of_real_decisions_name_whose_word_it_was() -> None:
    down = {f"DN{n}/USD": falling() for n in range(3)}
    facts = signal(source=COMPUTED)
    halved = [entries(each) for each in (buying_btc(signal()), buying_btc(facts), snapshot({BTC: rising(), **down}))]
    ((trim,), (plain_entry,)) = trims(holding_btc(signal(RISK))), entries(buying_btc())

    assert [halved_by(entry.reason) for (entry,) in halved] == ["adviser", COMPUTED, COMPUTED]
    assert (trimmed_by(trim.reason), halved_by(trim.reason)) == ("adviser", "")
    assert (trimmed_by(plain_entry.reason), halved_by(plain_entry.reason)) == ("", "")


def test_answer_from_the_cache_is_no_second_opinion() -> None:
    """The same words, paid once, in the run after."""
    known, opinion = past(crypto=-0.05, BTC=0.1), said(OPPORTUNITY)
    first = tried(known, [opinion])

    again = scored(first, NOON + timedelta(hours=6), [opinion], FREE, [], known)

    assert (first.scored, again.scored) == (1, 1)
    assert again.last == NOON + timedelta(hours=6)


def test_record_survives_the_store() -> None:
    trial = replace(tried(past(crypto=-0.05), [said(REGIME, symbol="crypto")]), muted_at=NOON, muted_because="lost")

    assert parsed(Trial, Document("intelligence_trials/adviser", document(trial, account_id="A1"), "1")) == trial


def test_past_knows_symbols_and_the_index_of_each_market() -> None:
    """Three coins in equal parts are an index; two stocks without SPY are none."""
    coins = bars({symbol: [100.0, 110.0] for symbol in (BTC, ETH, "LTC/USD")})

    known = past_of({"crypto": coins, "stocks": bars({"AAPL": [1.0, 2.0], "MSFT": [1.0, 2.0]})}, FREE)

    assert set(known.closes) == {BTC, ETH, "LTC/USD", "AAPL", "MSFT", "crypto"}
    assert known.closes["crypto"][1][-1] == pytest.approx(110)
    assert known.coins == {BTC, ETH, "LTC/USD"}


def record(*net_usd: float, opinions: int = 3, source: str = "adviser") -> Trial:
    """A week for each value, and the one that is still going on."""
    first = date(2026, 1, 5)
    values = [*net_usd, 0.0]
    weeks = (Week(first + timedelta(weeks=n), opinions, Decimal(str(net))) for n, net in enumerate(values))
    return replace(Trial(source), regimes=Tally(opinions * len(values)), weeks=tuple(weeks))


def test_source_is_muted_when_the_interval_of_its_weeks_is_below_zero() -> None:
    """-3 and -1 in turn: mean -2, deviation sqrt(8/7), so -2 ± 2.365 * 1.069 / sqrt(8) is -2.89 to -1.11."""
    assert verdict(record(*[-3, -1] * 4)) == (
        "24 opinions in 8 weeks from 2026-01-05 to 2026-02-23 came to $-2.00 a week after their cost, "
        "95 % interval $-2.89 to $-1.11"
    )


def test_opinions_that_change_nothing_cost_their_price() -> None:
    assert "came to $-0.12 a week" in verdict(record(*[-0.12] * 8))


@pytest.mark.parametrize(
    "trial",
    [
        record(*[-3, 1] * 4),
        record(*[-3, -1] * 3, -3),
        record(*[-3, -1] * 4, opinions=2),
        record(*[0] * 8),
        record(*[-3, -1] * 4, source=COMPUTED),
    ],
    ids=["-2.79 to 0.79", "seven weeks", "16 opinions", "cost nothing", "the baseline"],
)
def test_less_than_that_mutes_nobody(trial: Trial) -> None:
    assert verdict(trial) == ""


@given(st.lists(st.floats(-100, 100), min_size=8, max_size=60))
def test_source_that_adds_value_is_never_muted(values: list[float]) -> None:
    """Whatever single weeks were: a mean above zero is in its own interval."""
    if sum(values) > 0:
        assert verdict(record(*values)) == ""


@given(st.sampled_from(["crypto", "stocks"]), ANY_SIGNALS, CHANCE)
@examples(max_examples=60)
def test_muting_never_raises_risk(name: str, signals: tuple[Signal, ...], chance: Random) -> None:
    """I-69, I-71: every decision is the one of a market in which that source says nothing."""
    moment, module = drawn(name, chance), module_named(name)
    data = {"signals": [plain(each) for each in signals], "muted": {"adviser": "lost"}}

    heard, notes = stored_signals(Document(CURRENT_PATH, {"data": data}, "1"))

    others = tuple(each for each in signals if each.source != "adviser")
    assert decide(replace(moment, signals=heard), module) == decide(replace(moment, signals=others), module)
    assert [each.rule for each in notes] == [MUTED] * sum(each.source == "adviser" for each in signals)


def test_muted_signal_is_refused_by_that_rule() -> None:
    current = {"data": {"signals": [plain(signal())], "muted": {"adviser": "lost"}}}
    garbage = {"data": {"signals": [plain(signal())], "muted": 7}}

    assert stored_signals(Document(CURRENT_PATH, current, "1"))[0] == ()
    assert len(stored_signals(Document(CURRENT_PATH, garbage, "1"))[0]) == 1
    assert fault(signal(), symbols=(BTC,), as_of=AS_OF, muted={"adviser"}) == MUTED
