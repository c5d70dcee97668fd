"""What a run cost beside its losses: fees, spread, questions to a language model, and where the cloud's bill is."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from cli.figures.performance import Performance
from cli.report_trades import dates
from cli.sections import FACTS, Section
from cli.words import count, money, period, signed_money
from core.model.trades import ZERO
from core.ports import Store
from core.reporting.history import MOST_DOCUMENTS
from core.reporting.week import bill_part_usd

CLOUD = (
    "The cloud's bill is not in it and no receipt knows it: `make cost` works out a month of the schedules, item by "
    "item. With INFRASTRUCTURE_USD_PER_MONTH set, `cronfolio report` counts its part."
)


@dataclass(frozen=True, slots=True)
class AdviceCost:
    """What the runs of the market intelligence in a store booked for questions to a language model."""

    runs: int
    paid_runs: int
    usd: Decimal
    first_at: datetime | None
    last_at: datetime | None


def advice_cost(store: Store) -> AdviceCost:
    """The sum over every stored run; a run that asked nobody cost nothing."""
    found = store.recent("intelligence_runs", order_by="timestamp", limit=MOST_DOCUMENTS)
    costs = [Decimal(run.data["cost_usd"]) for run in found]
    times = [run.data["timestamp"] for run in found]
    return AdviceCost(
        runs=len(costs),
        paid_runs=sum(usd > 0 for usd in costs),
        usd=sum(costs, ZERO),
        first_at=min(times, default=None),
        last_at=max(times, default=None),
    )


def costs_section(run: Performance, advice: AdviceCost | None, cloud_usd_per_month: Decimal | None = None) -> Section:
    """`advice`: None where nothing could have asked, as in a backtest; `cloud_usd_per_month`: as the owner says."""
    spread = run.spread
    rows = [(f"Fees, {count(run.turnover.fills, 'fill')}, within the results", money(run.fees_usd))]
    if spread.priced:
        priced = f"{spread.priced} of {count(spread.fills, 'fill')} of closed trades"
        rows.append((f"Spread, estimated, {priced}, within the results", money(spread.usd)))
    notes = []
    if advice is not None and advice.first_at is not None and advice.last_at is not None:
        name = (
            f"Questions to a language model, {advice.paid_runs} of {count(advice.runs, 'run')} asked, not within them"
        )
        rows.append((name, money(advice.usd)))
        if advice.usd:
            after = signed_money(run.realised_usd - advice.usd)
            rows.append(("Realised profit and loss, less these questions", after))
            span = period(advice.first_at, advice.last_at)
            notes.append(f"Questions are counted over the runs of the market intelligence from {span}.")
    else:
        notes.append("No run of the market intelligence is on record, so no language model was paid.")
    if cloud_usd_per_month is None:
        notes.append(CLOUD)
    else:
        part_usd = bill_part_usd(cloud_usd_per_month, run.last_at - run.first_at)
        rows.append((f"The cloud, of {money(cloud_usd_per_month)} a month, not within the results", money(part_usd)))
    return Section("Costs", f"n = {count(run.cycles, 'cycle')}, {dates(run)}", FACTS, tuple(rows), tuple(notes))
