"""The arithmetic of a month's bill, by hand on small counts."""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from bench.bill import COLD_START_S, Machine, Runs, Use, billed_s, document_bytes, lines, mix_of, quantities, runs_of
from bench.cost import stock_market
from bench.prices import PRICES
from core.schedules import CRYPTO_CYCLE, JOBS, POSITION_MONITOR, STOCKS_CYCLE

NOVEMBER = date(2026, 11, 1)
MACHINE = Machine(vcpu=1, memory_gib=0.5)
NOTHING = dict.fromkeys(PRICES, 0.0)


def never(_at: datetime) -> bool:
    return False


def test_crypto_runs_every_five_minutes_of_a_month() -> None:
    runs = runs_of(CRYPTO_CYCLE, NOVEMBER, never)

    assert runs == Runs(in_session=0, closed=30 * 288, busiest_day=288)


def test_the_last_day_of_a_month_counts_and_the_next_first_does_not() -> None:
    assert runs_of(POSITION_MONITOR, date(2026, 12, 1), never).total == 31 * 1440
    assert runs_of(POSITION_MONITOR, date(2028, 2, 1), never).total == 29 * 1440


def test_stocks_sessions_are_the_calendars() -> None:
    """21 weekdays of 84 runs, from 9:01 to 15:56. Thanksgiving is closed and the day after ends at 13:00,
    so 19 sessions hold 78 runs (9:31 to 15:56), one holds 42 (9:31 to 12:56)."""
    runs = runs_of(STOCKS_CYCLE, NOVEMBER, stock_market(NOVEMBER))

    assert runs == Runs(in_session=19 * 78 + 42, closed=21 * 84 - 19 * 78 - 42, busiest_day=84)


def test_a_job_without_a_measured_closed_run_counts_every_run_as_a_trading_hour() -> None:
    runs = Runs(in_session=60, closed=40, busiest_day=10)

    assert mix_of(CRYPTO_CYCLE, runs, {}) == {"closed": 0, "ordering": 5, "idle": 95}
    assert mix_of(STOCKS_CYCLE, runs, {"closed": Use()}) == {"closed": 40, "ordering": 3, "idle": 57}


def test_a_run_is_billed_in_whole_tenths_of_a_second() -> None:
    """40 ms of CPU counted twice, five calls of 60 ms, three trips of 20 ms: 440 ms, billed as 500."""
    use = Use(cpu_s=0.04, broker_calls=5, store_trips=3)

    assert billed_s(use, MACHINE) == 0.5
    assert billed_s(Use(broker_calls=5), MACHINE) == 0.3


def test_a_third_of_a_vcpu_takes_three_times_as_long_to_compute() -> None:
    assert billed_s(Use(cpu_s=0.1), MACHINE) == 0.2
    assert billed_s(Use(cpu_s=0.1), Machine(vcpu=0.333, memory_gib=0.5)) == 0.7


def test_quantities_are_runs_times_use() -> None:
    """100 runs, five of them ordering: 95 x 0.2 s + 5 x 0.4 s = 21 s, and 24 x 31 cold starts."""
    runs = {CRYPTO_CYCLE: Runs(in_session=0, closed=100, busiest_day=20)}
    idle, ordering = Use(reads=5, writes=4, cpu_s=0.1), Use(reads=7, writes=10, cpu_s=0.2, stored_bytes=2**30)

    month = quantities(runs, {"crypto_cycle": {"idle": idle, "ordering": ordering}}, MACHINE, functions=2, secrets=2)

    assert month["invocations"] == 100
    assert month["vcpu_s"] == pytest.approx(21 + 24 * 31 * COLD_START_S)
    assert month["gib_s"] == pytest.approx(month["vcpu_s"] / 2)
    assert month["reads"] == pytest.approx(19 * 5 + 1 * 7)
    assert month["writes"] == pytest.approx(19 * 4 + 1 * 10)
    assert month["stored_gib"] == pytest.approx(5)
    assert month["jobs"] == 1
    assert month["secret_reads"] == 24 * 31 * 2


def test_what_is_free_costs_nothing_and_the_rest_its_price() -> None:
    bill = {line.price.item: line for line in lines(NOTHING | {"jobs": 6, "vcpu_s": 180_000, "log_gib": 52})}

    assert bill["jobs"].dollars == Decimal("0.30")
    assert bill["vCPU-seconds"].dollars == 0
    assert bill["vCPU-seconds"].is_free
    assert bill["logs"].dollars == Decimal("1.00")
    assert sum(line.dollars for line in bill.values()) == Decimal("1.30")


def test_a_daily_item_is_charged_for_every_day() -> None:
    """150,000 reads a day are 100,000 beyond the free ones: $0.06 on each of 31 days."""
    reads = next(line for line in lines(NOTHING | {"reads": 150_000}) if line.price.item == "documents read")

    assert reads.dollars == Decimal("1.86")
    assert not reads.is_free


def test_every_quantity_has_a_price_and_every_price_a_source() -> None:
    runs = {CRYPTO_CYCLE: Runs(in_session=0, closed=1, busiest_day=1)}
    uses = {"crypto_cycle": {"idle": Use(), "ordering": Use()}}

    assert set(quantities(runs, uses, MACHINE, functions=1, secrets=1)) == set(PRICES)
    assert all(price.source.startswith("https://cloud.google.com/") and price.per > 0 for price in PRICES.values())


def test_every_declared_job_has_a_schedule_that_can_be_counted() -> None:
    assert all(runs_of(job, NOVEMBER, never).total > 0 for job in JOBS)


def test_a_document_takes_what_the_manual_says() -> None:
    """The example of Firestore's own page: `tasks/my_task_id` with four fields takes 33 + 71 + 32 bytes."""
    task = {"type": "Personal", "done": False, "priority": 1, "description": "Learn Cloud Firestore"}

    assert document_bytes("tasks/my_task_id", task, unindexed=frozenset(task)) == 6 + 11 + 16 + 71 + 32


def test_an_indexed_field_takes_two_entries() -> None:
    """Each entry: the name (33), the field (5), the value (1) and 32."""
    plain = document_bytes("tasks/my_task_id", {"done": False}, unindexed=frozenset({"done"}))

    assert document_bytes("tasks/my_task_id", {"done": False}) == plain + 2 * (33 + 5 + 1 + 32)


def test_a_moment_of_the_session_is_open() -> None:
    is_open = stock_market(NOVEMBER)

    assert is_open(datetime(2026, 11, 25, 14, 30, tzinfo=UTC))
    assert not is_open(datetime(2026, 11, 25, 14, 29, tzinfo=UTC))
    assert not is_open(datetime(2026, 11, 26, 15, 0, tzinfo=UTC))
