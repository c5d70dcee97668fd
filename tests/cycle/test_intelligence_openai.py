"""The intelligence run with the real client: from a reply over HTTP to a smaller order, and its cost in the books."""

from __future__ import annotations

import json
from datetime import timedelta
from decimal import Decimal

import pytest

from core.app import Instance
from core.cycle.intelligence import run_intelligence
from core.cycle.run import run_cycle
from core.settings import load
from tests.cycle.conftest import NewStand
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.stand import Stand
from tests.cycle.test_intelligence import CYCLE, RUN
from tests.intelligence.service import Reply, reply, serving

pytest.importorskip("openai")

KEY = "sk-test-0123456789-very-private"


def opinion(value: str) -> str:
    expires_at = (EXIT_OF_BTC + timedelta(hours=6)).isoformat()
    said = {"symbol": "crypto", "value": value, "confidence": 0.9, "expires_at": expires_at, "reasoning": "It falls."}
    return json.dumps({"opinions": [said]})


def bought(stand: Stand, *replies: bytes | Reply) -> tuple[Decimal, dict[str, object]]:
    """The quantity of ETH that the cycle buys after a run in which the model answers this, and the run's report."""
    with serving() as service:
        service.will(*replies)
        instance = Instance(load({**stand.environ, "OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": service.url}))
        report = run_intelligence(instance.world(), RUN, instance.adviser(), instance.outside)
        orders = run_cycle(instance.world(), CYCLE)["orders"]
    assert KEY not in repr(report)
    (entry,) = [each for each in orders if each["purpose"] == "entry"]
    return Decimal(entry["quantity"]), report


def test_a_reply_over_http_halves_an_entry_and_its_cost_is_told(crowded: NewStand) -> None:
    """W-55: the whole way, with a news source that this venue does not have."""
    with crowded() as plain, crowded() as advised:
        full, _ = bought(plain, Reply(b"{}", 401))
        half, report = bought(advised, reply(opinion("bearish")))

    told = {each["purpose"]: each for each in report["consultations"]}  # type: ignore[attr-defined]
    assert full / 2 >= half > 0
    assert (report["status"], report["headlines"]) == ("advised", 0)
    assert "/v1beta1/news" in str(report["headlines_missing"])
    assert (told["market_regime"]["status"], told["market_regime"]["cost_usd"]) == ("valid", "0.0033")
    assert told["opportunity"]["rejected_by_adapter"] == ["symbol does not fit: literal_error"]
    assert report["cost_usd"] == str(4 * Decimal("0.0033"))


@pytest.mark.parametrize(
    "bad", [reply(opinion("bullish")), reply("```json"), Reply(b"{}", 404), reply(None)], ids=range(4)
)
def test_any_other_reply_leaves_the_cycle_as_it_is(bad: bytes | Reply, crowded: NewStand) -> None:
    """I-71: without a worse opinion a decision is what the facts make of it."""
    with crowded() as plain, crowded() as advised:
        orders = run_cycle(Instance(load(plain.environ)).world(), CYCLE)["orders"]
        same, _ = bought(advised, bad)

    (full,) = [each["quantity"] for each in orders if each["purpose"] == "entry"]
    assert same == Decimal(full)
