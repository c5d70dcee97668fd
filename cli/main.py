"""The `cronfolio` command: one group, one file a command."""

from __future__ import annotations

import click

from cli.adopt import adopt
from cli.alerts import alerts
from cli.backtest import backtest_command
from cli.chaos import chaos
from cli.control import halt, resume
from cli.data import data
from cli.demo import demo
from cli.deploy import canary, deploy, rollback
from cli.drift import drift
from cli.emergency import emergency
from cli.halt_drill import halt_drill
from cli.intelligence import intelligence
from cli.ml import ml
from cli.monitor import monitor
from cli.performance import performance
from cli.reconcile import reconcile
from cli.replay import replay
from cli.report import report
from cli.run import run
from cli.schedules import schedules
from cli.stack import stack
from cli.status import status
from cli.sweep import sweep


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cronfolio", message="%(prog)s %(version)s")
def main() -> None:
    """Trade an Alpaca paper account from scheduled, stateless functions, or try it on recorded data first."""


for command in (
    demo,
    run,
    status,
    report,
    performance,
    monitor,
    backtest_command,
    replay,
    sweep,
    intelligence,
    reconcile,
    halt,
    resume,
    halt_drill,
    emergency,
    adopt,
    stack,
    chaos,
    data,
    drift,
    ml,
    schedules,
    deploy,
    canary,
    rollback,
    alerts,
):
    main.add_command(command)


if __name__ == "__main__":
    main()
