"""The `cronfolio` command: one group, one file a command."""

from __future__ import annotations

import click

from cli.control import halt, resume
from cli.data import data
from cli.demo import demo
from cli.reconcile import reconcile
from cli.report import report
from cli.run import run
from cli.stack import stack


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="cronfolio", message="%(prog)s %(version)s")
def main() -> None:
    """Trade an Alpaca paper account from scheduled, stateless functions, or try it on recorded data first."""


for command in (demo, run, report, reconcile, halt, resume, stack, data):
    main.add_command(command)


if __name__ == "__main__":
    main()
