"""`python -m bench.cost [YYYY-MM]`: what the declared schedules cost in that month, or the next one, item by item."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.console import Console
from rich.table import Table

from bench import bill
from bench.bill import Line, Machine, Runs, Use
from bench.prices import ALERT_CONDITION_DOLLARS, PRICES
from bench.runs import measured
from cli.emulators import EmulatorMissing, firestore_running
from core.schedules import JOBS, Job
from functions.__main__ import NAMES
from venue.calendar import sessions_around
from venue.wire import to_us

GEN1_VCPU = {128: 0.083, 256: 0.167, 512: 0.333, 1024: 0.583, 2048: 1.0}
"""What `cpu="gcf_gen1"` gives, by MiB of memory: https://cloud.google.com/functions/docs/configuring/memory"""

GROUPS_TO_STAY_FREE = ("Firestore", "Functions")
SECRET_VERSIONS = 3
POLICIES = Path(__file__).parent.parent / "deploy" / "monitoring" / "policies"
LONGEST_STREAM_S = 55
NARROWEST = 110
"""Columns that the tables need; a pipe gives fewer."""


def main() -> int:
    """Print the bill; 1 if Firestore or Functions leave the free tier."""
    console = Console(width=max(NARROWEST, Console().width))
    month = date.fromisoformat(f"{sys.argv[1]}-01") if len(sys.argv) > 1 else _next_month(datetime.now(UTC).date())
    try:
        with TemporaryDirectory() as folder, firestore_running(Path(folder)) as host, console.status("measuring"):
            uses = measured(host)
    except EmulatorMissing as error:
        console.print(f"not measured: {error}")
        return 1
    machine = deployed_machine()
    runs = {job: bill.runs_of(job, month, stock_market(month)) for job in JOBS if job.name in uses}
    console.print(_runs_table(month, runs, uses, machine))
    for job in (job for job in JOBS if job not in runs):
        console.print(f"not counted: {job.name}, which no function serves")
    quantities = bill.quantities(runs, uses, machine, functions=len(NAMES), secrets=SECRET_VERSIONS)
    lines = bill.lines(quantities)
    console.print(_bill_table(month, lines))
    console.print(_growth(quantities))
    console.print(_streams(runs, quantities, machine))
    console.print(_alerts())
    verdicts = {
        group: all(line.is_free for line in lines if line.price.group == group) for group in GROUPS_TO_STAY_FREE
    }
    for group, is_free in verdicts.items():
        console.print(f"{group} inside the free tier: {'yes' if is_free else 'NO'}")
    return 0 if all(verdicts.values()) else 1


def stock_market(month: date) -> bill.IsOpen:
    """Whether New York's session is on at a moment of the month."""
    sessions = sessions_around(
        datetime(month.year, month.month, 1, tzinfo=UTC), datetime(month.year, month.month, 28, tzinfo=UTC)
    )
    spans = {day: (int(sessions.opens_us[i]), int(sessions.closes_us[i])) for i, day in enumerate(sessions.dates)}

    def is_open(at: datetime) -> bool:
        opens_us, closes_us = spans.get(at.date(), (0, 0))
        return opens_us <= to_us(at) < closes_us

    return is_open


def deployed_machine() -> Machine:
    """Memory and CPU that the functions are deployed with; Firebase gives one vCPU where none is asked for."""
    from functions import main

    memory_mib = int(main.AS_A_CYCLE["memory"])
    vcpu = main.AS_A_CYCLE.get("cpu", 1)
    given = {name: getattr(main, name).__firebase_endpoint__.availableMemoryMb / 1024 for name in NAMES}
    others = {name: gib for name, gib in given.items() if gib != memory_mib / 1024}
    return Machine(GEN1_VCPU[memory_mib] if vcpu == "gcf_gen1" else float(vcpu), memory_mib / 1024, others)


def _next_month(today: date) -> date:
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1)


def _runs_table(
    month: date, runs: Mapping[Job, Runs], uses: Mapping[str, Mapping[str, Use]], machine: Machine
) -> Table:
    title = f"{month:%B %Y}: what runs, and what one run takes ({machine.vcpu:g} vCPU, {machine.memory_gib:g} GiB)"
    names = ("job", "kind", "runs", "reads", "writes", "calls", "CPU ms", "billed s", "stored B", "log B")
    table = Table(*names, title=title, title_justify="left")
    for job, counted in runs.items():
        for kind, n in bill.mix_of(job, counted, uses[job.name]).items():
            use = uses[job.name].get(kind)
            if use is None:
                continue
            shown = (use.reads, use.writes, use.broker_calls, use.cpu_s * 1000, bill.billed_s(use, machine))
            sizes = (f"{use.stored_bytes:,.0f}", f"{use.log_bytes:,.0f}")
            table.add_row(job.name, kind, f"{n:,.0f}", *(f"{value:.1f}" for value in shown), *sizes)
    return table


def _bill_table(month: date, lines: tuple[Line, ...]) -> Table:
    table = Table("service", "item", "quantity", "free", "price", "dollars", title=f"the bill of {month:%B %Y}")
    for line in lines:
        price = line.price
        unit = f" {price.unit}" if price.unit else ""
        per = f"${price.dollars} / {price.per:,.0f}"
        table.add_row(
            price.group, price.item, _shown(line.quantity) + unit, _shown(price.free), per, f"{line.dollars:.2f}"
        )
    table.add_section()
    table.add_row("", "total", "", "", "", f"{sum(line.dollars for line in lines):.2f}")
    return table


def _growth(quantities: Mapping[str, float]) -> str:
    """What documents without a time to live come to."""
    price = PRICES["stored_gib"]
    months, year_gib = price.free / quantities["stored_gib"], 12 * quantities["stored_gib"]
    return (
        f"No document expires: {year_gib:.2f} GiB after a year; the free GiB is full after {months:.0f} months, "
        f"and each further year of documents then costs ${float(price.dollars) * year_gib:.2f} a month."
    )


def _streams(runs: Mapping[Job, Runs], quantities: Mapping[str, float], machine: Machine) -> str:
    """MONITOR_STREAM_S is 0 in the figures above; a stream is billed for as long as it is open."""
    n_runs = sum(counted.total for job, counted in runs.items() if job.watches_positions and not job.opens_positions)
    price = PRICES["vcpu_s"]
    if not n_runs:
        return "Nothing watches positions between the cycles."
    free_s = max(0.0, price.free - quantities["vcpu_s"]) / (n_runs * machine.vcpu)
    beyond = max(0.0, quantities["vcpu_s"] + n_runs * LONGEST_STREAM_S * machine.vcpu - price.free)
    return (
        f"Holding positions all the month, MONITOR_STREAM_S of {free_s:.1f} still fits the free tier; "
        f"{LONGEST_STREAM_S} would cost ${float(price.dollars) * beyond:.0f} of vCPU-seconds."
    )


def _alerts() -> str:
    n_policies = len(list(POLICIES.glob("*.yaml")))
    return (
        f"Not in the bill: {n_policies} alert policies of one condition each, "
        f"${n_policies * ALERT_CONDITION_DOLLARS} a month once Google charges for them as announced."
    )


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


if __name__ == "__main__":
    sys.exit(main())
