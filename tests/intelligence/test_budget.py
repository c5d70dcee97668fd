"""Dollars are booked before they are spent, once, and a question already answered costs none."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from multiprocessing.synchronize import Barrier
from pathlib import Path
from threading import Thread

import pytest

from core.documents import document
from core.errors import Conflict, StoreUnavailable
from core.intelligence.answers import NoOpinion
from core.intelligence.budget import Budget, budget_path
from core.intelligence.openai import OpenAIAdviser
from core.model.intelligence import Consultation, Purpose
from core.ports import Write
from core.state.sqlite import SqliteStore
from tests.intelligence.asking import KEY, NOW, SPY_TREND, UNIVERSE, Advising, answer, headline, opinion, risk, sheet
from tests.intelligence.service import Reply, Service, reply

pytest.importorskip("openai")

Adviser = Callable[..., Advising]
TEN_CENTS = Decimal("0.1")


def booked(file: Path, together: Barrier, count: int) -> None:
    """Try to take ten cents so many times, each time knowing what the other knows."""
    store = SqliteStore(file)
    budget = Budget(store, month_usd=Decimal(1), run_usd=Decimal(1))
    for _ in range(count):
        (found,) = store.read([budget_path(NOW)])
        together.wait(60)
        with suppress(NoOpinion):
            budget.reserve(TEN_CENTS, NOW, found)
        together.wait(60)
    store.close()


@pytest.mark.parametrize(("name", "value"), [("LLM_MONTHLY_BUDGET_USD", "0.01"), ("LLM_RUN_BUDGET_USD", "0")])
def test_a_call_that_may_cost_more_than_is_left_is_not_made(
    name: str, value: str, service: Service, advising: Adviser
) -> None:
    service.will(reply(answer(opinion())))

    heard = advising(**{name: value}).consult()

    assert heard.status == "no_opinion"
    assert heard.reason.startswith("budget: 0.0000 of the ")
    assert service.requests == []


def test_the_budget_of_a_run_ends_with_the_run_and_that_of_a_month_does_not(
    service: Service, advising: Adviser
) -> None:
    service.will(Reply(b"{}", 500, {"x-should-retry": "false"}))
    first = advising()
    three = first.worst_usd() * 3
    asking = advising(LLM_RUN_BUDGET_USD=f"{three:f}", LLM_MONTHLY_BUDGET_USD=f"{three * 2:f}")

    later = sheet(as_of=NOW + timedelta(hours=6))
    heard = [asking.consult(about=about).reason for about in (sheet(), sheet(), later, later)]
    next_month = asking.consult(about=sheet(as_of=NOW + timedelta(days=30)))

    assert [reason.partition(" ")[0] for reason in heard] == ["HTTP", "budget:", "HTTP", "budget:"]
    assert next_month.reason.startswith("HTTP")


def test_two_processes_cannot_spend_the_same_dollars(tmp_path: Path) -> None:
    file = tmp_path / "state.db"
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2)
    processes = [context.Process(target=booked, args=(file, together, 8)) for _ in range(2)]

    for process in processes:
        process.start()
    for process in processes:
        process.join(60)

    store = SqliteStore(file)
    (found,) = store.read([budget_path(NOW)])
    store.close()
    assert [process.exitcode for process in processes] == [0, 0]
    assert found is not None
    assert (found.data["spent_usd"], found.data["calls"]) == ("1", 10)


def test_two_runs_at_once_make_no_call_too_many(service: Service, advising: Adviser) -> None:
    service.will(reply(answer(risk())))
    worst_usd = advising().worst_usd(Purpose.POSITION_RISK) * 3
    heard: list[Consultation] = []

    def run(asking: Advising) -> None:
        heard.append(asking.consult(Purpose.POSITION_RISK))

    budgets = {"LLM_MONTHLY_BUDGET_USD": f"{worst_usd:f}", "LLM_RUN_BUDGET_USD": f"{worst_usd:f}"}
    threads = [Thread(target=run, args=(advising(**budgets),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    spent_usd = sum((one.cost_usd for one in heard), Decimal(0))
    assert len(heard) == 4
    assert any(one.signals for one in heard)
    assert spent_usd == advising().spent_usd() <= worst_usd


def test_what_dies_during_the_call_stays_booked_at_its_worst(store: SqliteStore) -> None:
    budget = Budget(store, month_usd=Decimal(1), run_usd=Decimal(1))

    budget.reserve(Decimal("0.9"), NOW, None)

    with pytest.raises(NoOpinion, match=r"0\.9000 of the month's 1 dollars are spent"):
        budget.reserve(Decimal("0.2"), NOW, *store.read([budget_path(NOW)]))


@pytest.mark.parametrize("spent", ["NaN", "-5", "many", None])
def test_spending_that_cannot_be_read_stops_spending(
    spent: str | None, service: Service, advising: Adviser, store: SqliteStore
) -> None:
    fields: dict[str, object] = {"month": "2026-11", "spent_usd": spent, "calls": 1, "runs_usd": {}}
    store.commit([Write(budget_path(NOW), document(fields, account_id="any"))])

    heard = advising().consult()

    assert heard.reason.startswith("budget: it cannot be booked, so nothing is spent")
    assert service.requests == []


class _Failing(SqliteStore):
    """Fails the commits that it is told to."""

    def __init__(self, file: Path, *errors: Exception | None) -> None:
        super().__init__(file)
        self.errors = list(errors)

    def commit(self, writes: object) -> tuple[str, ...]:
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        return super().commit(writes)  # type: ignore[arg-type]


def test_without_a_store_no_dollar_is_spent(service: Service, advising: Adviser, tmp_path: Path) -> None:
    settings = advising().settings
    failing = _Failing(tmp_path / "failing.db", StoreUnavailable("no answer"))

    heard = OpenAIAdviser(settings, failing, elapsed_s=lambda: 0.0).consult(Purpose.MARKET_REGIME, sheet())

    failing.close()
    assert heard.reason.startswith("budget: it cannot be booked")
    assert service.requests == []


def test_a_cost_that_cannot_be_corrected_stays_at_its_worst_and_the_answer_counts(
    service: Service, advising: Adviser, tmp_path: Path
) -> None:
    service.will(reply(answer(opinion())))
    asking = advising()
    failing = _Failing(tmp_path / "failing.db", None, *[Conflict("x")] * 8)

    heard = OpenAIAdviser(asking.settings, failing, elapsed_s=lambda: 0.0).consult(Purpose.MARKET_REGIME, sheet())

    (found,) = failing.read([budget_path(NOW)])
    failing.close()
    assert heard.status == "valid"
    assert found is not None
    assert Decimal(found.data["spent_usd"]) == asking.worst_usd() * 3


def test_what_is_set_by_default_lets_every_purpose_be_asked_at_its_worst(advising: Adviser) -> None:
    """Fifty symbols with four facts each, and forty headlines."""
    facts = tuple(replace(SPY_TREND, name=f"figure_{index}", symbol=UNIVERSE[index % 4]) for index in range(200))
    lines = [headline("A headline of usual length, of the kind that is read every day." * 2) for _ in range(40)]
    asking = advising()

    worst = [asking.worst_usd(purpose, sheet(*lines, facts=facts)) for purpose in Purpose]

    # A call's three attempts are booked at once; what came before has been corrected to what it took.
    assert max(worst) * 3 + sum(worst) - max(worst) < asking.settings.llm_run_budget_usd


def test_the_same_question_costs_nothing_until_its_answer_expires(service: Service, advising: Adviser) -> None:
    service.will(reply(answer(opinion())))
    asking = advising()
    first = asking.consult()

    again = asking.consult(about=sheet(as_of=NOW + timedelta(hours=5)))
    after = asking.consult(about=sheet(as_of=NOW + timedelta(hours=6)))

    assert again.signals == first.signals
    assert (again.is_cached, again.at) == (True, NOW + timedelta(hours=5))
    assert again.cost_usd == again.input_tokens == again.output_tokens == 0
    assert not after.is_cached
    assert len(service.requests) == 2


def test_another_fact_or_model_is_another_question(service: Service, advising: Adviser) -> None:
    service.will(reply(answer(opinion())))
    changed = sheet(facts=(replace(sheet().facts[0], value=-0.05),))

    heard = [advising().consult(), advising().consult(about=changed), advising(OPENAI_MODEL="gpt-x").consult()]

    assert not any(one.is_cached for one in heard)
    assert len({one.input_hash for one in heard}) == 3


@pytest.mark.parametrize("damage", [{"signals": "none"}, {"status": 5}, {"signals": []}, {"schema_version": 9}])
def test_a_kept_answer_that_cannot_be_read_is_asked_for_again(
    damage: dict[str, object], service: Service, advising: Adviser, store: SqliteStore
) -> None:
    service.will(reply(answer(opinion())))
    first = advising().consult()
    path = f"intelligence_cache/{first.input_hash}"
    (kept,) = store.read([path])
    assert kept is not None
    store.commit([Write(path, {**kept.data, **damage})])

    again = advising().consult()

    assert (again.is_cached, again.signals) == (False, first.signals)


def test_no_opinion_is_not_kept(service: Service, advising: Adviser) -> None:
    service.will(Reply(reply("")), Reply(reply(answer(opinion()))))

    heard = [advising().consult(), advising().consult()]

    assert [one.status for one in heard] == ["no_opinion", "valid"]


def test_the_key_is_sent_and_shows_nowhere_else(
    service: Service, advising: Adviser, store: SqliteStore, capfd: pytest.CaptureFixture[str]
) -> None:
    """I-58: a secret is in the header alone: not in the log, the answer or a document."""
    echo = f'{{"error": {{"message": "bad key {KEY}", "code": "{KEY}"}}}}'.encode()
    service.will(Reply(echo, 401), Reply(reply(answer(opinion()))))
    asking = advising()

    heard = [asking.consult(), asking.consult()]

    documents = store.read([budget_path(NOW), f"intelligence_cache/{heard[1].input_hash}"])
    told = capfd.readouterr()
    assert service.headers[0]["authorization"] == f"Bearer {KEY}"
    assert all(found is not None for found in documents)
    for place in (documents, heard, told.out, told.err, asking.settings, service.requests):
        assert KEY not in repr(place)
