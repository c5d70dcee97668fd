"""Stored cycles decided again: equal to the byte on their own facts, and different where other limits bind."""

from __future__ import annotations

import dataclasses
import gzip
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pytest

from cli.decided_again import Change, again, changed_limits, changes, difference, entries_usd, parameter
from core.cycle.evidence import Evidence, canonical, evidence, judged, load, packed
from core.errors import BadFacts, BadRequest
from core.model.intelligence import Purpose as Told
from core.model.judgement import ModelOpinion, Snapshot
from core.model.limits import Limits, RiskLimits, SafetyLimits
from core.settings import InvalidSettings
from core.settings import load as settings_of
from tests.builders import BTC, ETH, account, falling, limits, rising, signal, snapshot, usd
from tests.unit.option_facts import chain


class Kept(dict[str, bytes]):
    """Blobs in memory."""

    def put(self, name: str, content: bytes) -> None:
        self[name] = content


def evidence_of(moment: Snapshot, *, exits_only: bool = False, unread: str = "") -> Evidence:
    decision = judged(moment, exits_only=exits_only, unread=unread)
    return evidence(moment, decision, exits_only=exits_only, unread=unread, revision="r1", config_version="c1")


def stored(found: Evidence) -> Evidence:
    """The evidence after a journey through a blob."""
    blob = packed(found)
    return load(Kept([blob]), blob[0])


def is_same(one: Any, other: Any) -> bool:
    """Equal in type and value, arrays by element, maps in their order."""
    if isinstance(one, np.ndarray):
        is_equal = np.array_equal(one, other, equal_nan=one.dtype.kind in "fM")
        return (one.dtype, one.shape) == (other.dtype, other.shape) and is_equal
    if dataclasses.is_dataclass(one):
        names = [field.name for field in dataclasses.fields(one) if field.init]
        return type(one) is type(other) and all(is_same(getattr(one, name), getattr(other, name)) for name in names)
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(is_same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return len(one) == len(other) and all(map(is_same, one, other))
    if isinstance(one, frozenset):
        return type(one) is type(other) and one == other
    return type(one) is type(other) and repr(one) == repr(other)


def full_moment() -> Snapshot:
    """A snapshot with something in every kind of field: missing bars and greeks, chains out of order, signals, opinions
    of a model."""
    moment = snapshot({BTC: rising(), ETH: falling(80)})
    opinions = {
        BTC: {"momentum": ModelOpinion("crypto-1", 0.55, True), "breakout": ModelOpinion("crypto-1", None, True)}
    }
    chains = {"SPY": chain(), "AAPL": replace(chain(), underlying="AAPL", gamma=np.full(15, np.nan))}
    books = replace(moment.books, seen_ids=frozenset({"fill-1", "fill-2"}))
    return replace(moment, model_opinions=opinions, chains=chains, signals=(signal(Told.NEWS),), books=books)


def test_a_snapshot_comes_back_from_its_blob_as_it_was() -> None:
    found = evidence_of(full_moment())

    back = stored(found)

    assert is_same(found.snapshot, back.snapshot)
    assert np.isnan(back.snapshot.bars.close[1, 0]), "ETH has fewer bars than BTC"
    assert (back.revision, back.config_version, back.feature_bars) == ("r1", "c1", 120)


def test_the_order_of_chains_is_kept_since_it_is_whose_turn_it_is() -> None:
    back = stored(evidence_of(full_moment()))

    assert list(back.snapshot.chains) == ["SPY", "AAPL"]


def test_a_number_of_numpys_is_kept_as_the_number_that_it_is() -> None:
    moment = snapshot({BTC: rising()})
    decision = judged(moment, exits_only=False, unread="")
    (intent,) = decision.intents
    counted = replace(decision, intents=(replace(intent, features={**intent.features, "score": np.float64(0.75)}),))

    back = stored(replace(evidence_of(moment), decision=msgspec.Raw(canonical(counted))))

    assert b'"score":0.75' in bytes(back.decision)


@pytest.mark.parametrize(("exits_only", "unread"), [(False, ""), (True, ""), (False, "no answer")])
def test_a_decision_follows_again_from_its_blob(exits_only: bool, unread: str) -> None:
    """Exits alone, and no entry while fills cannot be read: what a cycle was asked for is a part of its facts."""
    found = evidence_of(snapshot({BTC: rising()}), exits_only=exits_only, unread=unread)

    decision = again(stored(found))

    assert difference(found, decision) == ()
    assert len(decision.intents) == (0 if exits_only or unread else 1)


def test_a_decision_that_is_not_what_was_stored_is_shown_line_by_line() -> None:
    found = stored(evidence_of(snapshot({BTC: rising()})))
    judged_otherwise = again(found, limits(risk=RiskLimits(max_entry_frac=usd("0.025"))))

    lines = difference(found, judged_otherwise)

    assert '-      "quantity": "49.721559268",' in lines
    assert '+      "quantity": "24.860779634",' in lines


def rewritten(change: bytes, to: bytes) -> tuple[Kept, str]:
    """A blob of which some text was changed."""
    blob = packed(evidence_of(snapshot({BTC: rising()})))
    blobs, name = Kept([blob]), blob[0]
    text = gzip.decompress(blobs[name])
    assert change in text
    blobs[name] = gzip.compress(text.replace(change, to))
    return blobs, name


def test_a_blob_of_another_schema_version_is_refused() -> None:
    blobs, name = rewritten(b'"schema_version":1', b'"schema_version":2')

    with pytest.raises(BadRequest, match="schema version 2, this code reads 1; take the code that wrote it"):
        load(blobs, name)


def test_a_blob_from_before_there_were_versions_is_refused() -> None:
    blobs, name = rewritten(b'"schema_version":1,', b"")

    with pytest.raises(BadRequest, match="schema version None"):
        load(blobs, name)


def test_a_blob_that_is_gone_or_broken_is_told_as_such() -> None:
    with pytest.raises(BadRequest, match="there is no blob snapshots/none"):
        load(Kept(), "snapshots/none")
    for content in (b"nothing", gzip.compress(b"{"), gzip.compress(b'{"schema_version":1}')):
        with pytest.raises(BadFacts, match="cannot be read"):
            load(Kept(broken=content), "broken")


def what_if(moment: Snapshot, **settings: str) -> tuple[Change, ...]:
    """What these settings change of the decision on a stored moment."""
    found = stored(evidence_of(moment))
    wanted = dict(parameter(name, value) for name, value in settings.items())
    return changes(again(found), again(found, changed_limits(found.snapshot.limits, "crypto", wanted)))


def test_half_the_cap_of_an_entry_halves_it() -> None:
    """$100,000 at a cap of 5 % buys 5,000 / 100.56 = 49.721559268 coins, at 2.5 % 24.860779634."""
    moment = snapshot({BTC: rising()})

    assert what_if(moment, max_entry_pct="2.5") == (
        Change("resized", "entry", BTC, "49.721559268", "24.860779634", "size set by what one entry may cost"),
    )
    assert entries_usd(judged(moment, exits_only=False, unread="")) == usd("49.721559268") * usd("100.56")


def test_an_entry_below_a_higher_threshold_is_dropped_with_the_refusal() -> None:
    (change,) = what_if(snapshot({BTC: rising()}), enter_confidence="0.9")

    assert (change.kind, change.before, change.after) == ("dropped", "49.721559268", "")
    assert change.why == "confidence: momentum 0.698 is below 0.900 to enter"


def test_an_entry_that_a_lower_threshold_lets_in_is_added_with_what_kept_it_out() -> None:
    moment = snapshot({BTC: rising()})
    strict = replace(
        moment, limits=replace(moment.limits, signals=replace(moment.limits.signals, enter_confidence=0.9))
    )

    (change,) = what_if(strict, min_confidence="0.65")

    assert (change.kind, change.before, change.after) == ("added", "", "49.721559268")
    assert change.why == "confidence: momentum 0.698 is below 0.900 to enter"


def test_another_stop_is_a_change_of_the_order() -> None:
    """5 % below the limit price of 100.56 is 95.532, rounded up to the cent 95.54."""
    (change,) = what_if(snapshot({BTC: rising()}), stop_floor_pct="5")

    assert (change.kind, change.why) == ("changed", "stop_price 90.51 becomes 95.54")


def test_a_tighter_daily_loss_trips_the_breaker() -> None:
    """One per cent below the last close: within 2 %, beyond 0.5 %."""
    moment = snapshot({BTC: rising()}, account=account(equity_usd=usd(99_000)))

    entry, mode = what_if(moment, daily_loss_reducing_pct="0.5")

    assert (entry.kind, entry.after) == ("dropped", "")
    assert (mode.kind, mode.before, mode.after) == ("mode", "none", "REDUCING")


def test_limits_that_bind_nothing_change_nothing() -> None:
    assert what_if(snapshot({BTC: rising()}), max_positions="24", max_symbol_pct="15") == ()


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("max_symbol_pct", "50", "MAX_SYMBOL_FRAC: Input should be less than or equal to 0.15"),
        ("cash_floor_frac", "0.01", "CASH_FLOOR_FRAC: Input should be greater than or equal to 0.05"),
        ("daily_loss_halt_pct", "1", "DAILY_LOSS_HALT_FRAC is below DAILY_LOSS_REDUCING_FRAC"),
        ("max_positions", "many", "MAX_POSITIONS: Input should be a valid integer"),
    ],
)
def test_no_what_if_goes_beyond_what_a_deployment_may(name: str, value: str, told: str) -> None:
    """I-12: the hard maxima hold wherever limits are chosen, those that are in force included."""
    with pytest.raises(InvalidSettings, match=told):
        what_if(snapshot({BTC: rising()}), **{name: value})


def test_what_is_in_force_and_not_the_default_is_what_a_change_must_fit() -> None:
    """A halt at 1.5 % fits reducing at 1 %, as it is in force; not the default of 2 %."""
    strict = limits(safety=SafetyLimits(daily_loss_reducing_frac=usd("0.01")))

    assert what_if(snapshot({BTC: rising()}, limits=strict), daily_loss_halt_pct="1.5") == ()


def test_each_setting_that_limits_is_known_by_its_name_in_per_cent_too() -> None:
    assert parameter("max_symbol_pct", "10") == ("max_symbol_frac", "0.1")
    assert parameter("MAX_SYMBOL_FRAC", "0.10") == ("max_symbol_frac", "0.10")
    assert parameter("leave_confidence", "0.4") == ("exit_confidence", "0.4")


def test_a_name_that_limits_nothing_is_refused_with_those_that_do() -> None:
    with pytest.raises(BadRequest, match=r"did you mean max_symbol_frac\? Limits are .*target"):
        parameter("max_sybol_frac", "0.1")
    with pytest.raises(BadRequest, match="no number of per cent"):
        parameter("max_symbol_pct", "ten")
    with pytest.raises(BadRequest, match="openai_model is no limit"):
        parameter("openai_model", "o5")


def test_a_setting_reaches_the_limits_as_at_a_start() -> None:
    """What a what-if makes of the limits in force is what the same settings make of them at a start."""
    local = {"ALPACA_BASE_URL": "http://127.0.0.1"}
    for module in ("crypto", "stocks", "options"):
        plain: Limits = settings_of(local).limits_of(module)
        wanted = {"max_entry_frac": "0.03", "max_delayed_quote_age_s": "600", "target_frac": "0.3"}

        changed = changed_limits(plain, module, wanted)

        named = {name.upper(): value for name, value in wanted.items()}
        assert changed == settings_of({**local, **named}).limits_of(module)


def test_equal_decisions_have_equal_bytes() -> None:
    moment = snapshot({BTC: rising()})
    decision = judged(moment, exits_only=False, unread="")
    (intent,) = decision.intents
    shuffled = replace(intent, features=dict(reversed(list(intent.features.items()))))

    assert canonical(replace(decision, intents=(shuffled,))) == canonical(decision)
    assert msgspec.json.decode(canonical(decision))["intents"][0]["quantity"] == "49.721559268"
