"""The corpus through the real client, both walls and the judgement: nothing outside the schema, no risk raised."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from functools import cache
from itertools import cycle

import pytest

from core.decide import decide
from core.intelligence.signals import VALUES, fault
from core.model.intelligence import Consultation, FactSheet, Signal
from core.model.judgement import Decision, Snapshot
from core.modules import module_named
from tests.builders import AS_OF, BTC, ETH, LTC, books, flat, position, rising, snapshot, trade
from tests.intelligence.asking import Advising, answer
from tests.intelligence.corpus import ANSWERS, HEADLINES, NEWS, OBEDIENT, Hostile, coins, poisoned
from tests.intelligence.service import Service, reply

pytest.importorskip("openai")

Adviser = Callable[..., Advising]
MARKETS = {"stocks", "crypto"}


@cache
def moment() -> Snapshot:
    """BTC and ETH rise alike and would be bought; LTC is held and lies still."""
    held = {"positions": (position(LTC),), "books": books(trades=(trade(LTC),))}
    return snapshot({BTC: rising(), ETH: rising(), LTC: flat()}, **held)


@cache
def unadvised() -> Decision:
    return decide(moment(), module_named("crypto"))


def advised(signals: tuple[Signal, ...]) -> Decision:
    return decide(replace(moment(), signals=signals), module_named("crypto"))


def entries_usd(decision: Decision) -> list[Decimal]:
    return [each.quantity * each.reference_price for each in decision.intents if each.purpose.opens_risk]


def sold(decision: Decision) -> Decimal:
    return sum((each.quantity for each in decision.intents if not each.purpose.opens_risk), Decimal(0))


def assert_harmless(heard: Consultation, about: FactSheet) -> None:
    """Every signal is inside the closed schema, and the plan with them is never larger than without."""
    for signal in heard.signals:
        symbols = {*about.universe, *MARKETS}
        assert fault(signal, symbols=symbols, as_of=AS_OF) is None
        assert signal.kind is heard.purpose
        assert signal.value in VALUES[signal.kind]
        assert signal.symbol in symbols
        assert 0 <= signal.confidence <= 1
        assert signal.at == AS_OF < signal.expires_at
        assert signal.source == "o4-mini"
        assert signal.reasoning.isprintable()
        assert all(citation.published_at is None or citation.published_at <= AS_OF for citation in signal.citations)
    decision, plain = advised(heard.signals), unadvised()
    assert {each.symbol for each in decision.intents} <= {*about.universe}
    assert sum(entries_usd(decision)) <= sum(entries_usd(plain))
    assert max(entries_usd(decision)) <= max(entries_usd(plain))
    assert sold(decision) >= sold(plain)


def test_the_judgement_that_is_put_to_the_test_buys_something() -> None:
    assert len(entries_usd(unadvised())) > 0
    assert len(ANSWERS) + len(HEADLINES) > 60


@pytest.mark.parametrize("hostile", ANSWERS, ids=lambda hostile: hostile.name)
def test_no_answer_gets_past_the_schema_or_raises_a_risk(hostile: Hostile, service: Service, advising: Adviser) -> None:
    """I-69, W-58: outputs are whitelisted, and a stored opinion only ever lowers a risk or changes an order."""
    service.will(reply(hostile.text))
    asking = advising()

    heard = asking.consult(hostile.purpose, coins())

    assert len(heard.signals) == hostile.signals, heard
    assert heard.status == ("valid" if hostile.signals else "no_opinion")
    assert heard.signals or heard.reason
    assert heard.cost_usd == asking.spent_usd() > 0
    assert_harmless(heard, coins())


@pytest.mark.parametrize(
    ("text", "obeyed"), [*zip(HEADLINES, cycle(OBEDIENT), strict=False)], ids=range(len(HEADLINES))
)
def test_a_model_that_obeys_a_headline_still_raises_no_risk(
    text: str, obeyed: Hostile, service: Service, advising: Adviser
) -> None:
    """W-58: the words of strangers reach the model as data, and what it makes of them meets the same wall."""
    about = poisoned(text)
    service.will(reply(obeyed.text.replace('"reasoning"', '"headlines": [0], "reasoning"')))
    asking = advising()

    heard = asking.consult(obeyed.purpose, about)

    assert len(heard.signals) == obeyed.signals
    assert_harmless(heard, about)
    (kept,) = asking.store.read([f"intelligence_cache/{heard.input_hash}"])
    assert kept is not None


def test_an_answer_that_repeats_a_headline_word_for_word_is_none(service: Service, advising: Adviser) -> None:
    text = HEADLINES[6]
    service.will(reply(text))

    heard = advising().consult(NEWS, poisoned(text))

    assert heard.signals == ()
    assert service.requests[0]["input"].count("SCAM") == 1


def test_no_opinion_at_all_is_an_answer(service: Service, advising: Adviser) -> None:
    service.will(reply(answer()))

    heard = advising().consult(about=coins())

    assert (heard.status, heard.signals, heard.rejected) == ("valid", (), ())
