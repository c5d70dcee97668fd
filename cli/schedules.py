"""`cronfolio schedules`: the declared jobs in Cloud Scheduler, planned, applied, paused, resumed and listed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from cli.tables import PlainTable
from cli.words import count, wide_console
from core.errors import CronfolioError
from core.schedules import JOBS, REGION

if TYPE_CHECKING:
    from cli.cloud_scheduler import Change, CloudScheduler, Scheduled

ACCOUNT_NAME = "cronfolio-scheduler"


def open_scheduler(project: str | None, region: str, service_account: str | None) -> CloudScheduler:
    """The jobs of this deployment, with the application default credentials."""
    # Imported here, as no other command needs the client library, which takes half a second.
    from cli.cloud_scheduler import CloudScheduler, Deployment

    if not project:
        raise click.ClickException("no Google Cloud project is named; set GOOGLE_CLOUD_PROJECT, or give --project")
    account = service_account or f"{ACCOUNT_NAME}@{project}.iam.gserviceaccount.com"
    return CloudScheduler(Deployment(project, region, account))


def of_a_deployment(command: Callable[..., None]) -> Callable[..., None]:
    """The options that name a deployment; the command gets its scheduler, and a failure is told in one sentence."""

    # The deployment hook names in GCLOUD_PROJECT what was just deployed, whatever else is set.
    @click.option("--project", envvar=["GCLOUD_PROJECT", "GOOGLE_CLOUD_PROJECT"], help="The Google Cloud project.")
    @click.option("--region", default=REGION, show_default=True, help="Where the functions are deployed.")
    @click.option(
        "--service-account",
        show_default=f"{ACCOUNT_NAME}@PROJECT.iam.gserviceaccount.com",
        help="Who calls the functions; it must be allowed to invoke them.",
    )
    @wraps(command)
    def opened(project: str | None, region: str, service_account: str | None, **options: Any) -> None:
        try:
            command(open_scheduler(project, region, service_account), **options)
        except CronfolioError as error:
            raise click.ClickException(str(error)) from error

    return opened


names_argument = click.argument("names", nargs=-1, metavar="[JOB]...")


@click.group()
def schedules() -> None:
    """Plan, apply, pause, resume and list the jobs in Cloud Scheduler."""


@schedules.command()
@of_a_deployment
def plan(scheduler: CloudScheduler) -> None:
    """Show what apply would do; nothing is changed."""
    _shown(scheduler.plan(JOBS))


@schedules.command()
@of_a_deployment
@click.option("--yes", is_flag=True, help="Do not ask.")
def apply(scheduler: CloudScheduler, yes: bool) -> None:
    """Create, update and delete jobs until they are as declared. A paused job stays paused."""
    changes = _shown(scheduler.plan(JOBS))
    if changes and not yes:
        click.confirm(f"Make {count(len(changes), 'change')}?", abort=True)
    for change in changes:
        scheduler.apply(change)
        click.echo(f"{change.name}: {change.act} done")


@schedules.command("list")
@of_a_deployment
def list_jobs(scheduler: CloudScheduler) -> None:
    """Show the jobs as Cloud Scheduler has them."""
    columns = ("job", "schedule", "state", "next run, UTC", "last run, UTC")
    rows = [_row(job) for job in scheduler.jobs()]
    wide_console().print(PlainTable(columns, rows, numbers=(False,) * len(columns)) if rows else "no jobs yet")


@schedules.command()
@of_a_deployment
@names_argument
@click.option("--all", "everything", is_flag=True, help="Every job, what watches open positions too.")
def pause(scheduler: CloudScheduler, names: tuple[str, ...], everything: bool) -> None:
    """Pause the jobs that open positions, or those named. A run that has begun still ends."""
    chosen = _chosen(scheduler, names, everything)
    watching = [job.name for job in JOBS if job.watches_positions and job.name in chosen]
    if watching and not everything:
        raise click.ClickException(f"{', '.join(watching)} watches open positions; it is paused only with --all")
    _each(chosen, scheduler.pause, "paused")
    enabled = {job.name for job in scheduler.jobs() if job.state == "ENABLED"}
    if not any(job.watches_positions and job.name in enabled for job in JOBS):
        click.echo("No enabled job watches open positions: only orders that stand at the broker protect them.")


@schedules.command()
@of_a_deployment
@names_argument
@click.option("--all", "everything", is_flag=True, help="Every job.")
def resume(scheduler: CloudScheduler, names: tuple[str, ...], everything: bool) -> None:
    """Let the jobs that open positions run again, or those named."""
    _each(_chosen(scheduler, names, everything), scheduler.resume, "enabled")


def _chosen(scheduler: CloudScheduler, names: Sequence[str], everything: bool) -> Sequence[str]:
    """The named jobs; with --all every job of ours; else all but those declared to open no positions."""
    if everything and names:
        raise click.UsageError("give job names or --all, not both")
    spared = set() if everything else {job.name for job in JOBS if not job.opens_positions}
    chosen = names or [job.name for job in scheduler.jobs() if job.name not in spared]
    if not chosen:
        raise click.ClickException("there are no such jobs yet; run `cronfolio schedules apply`")
    return chosen


def _each(names: Sequence[str], act: Callable[[str], None], state: str) -> None:
    """Every job is tried, so that one failure keeps none of the others going."""
    failures = []
    for name in names:
        try:
            act(name)
        except CronfolioError as error:
            failures.append(str(error))
        else:
            click.echo(f"{name} is {state}")
    if failures:
        raise click.ClickException("\n".join(failures))


def _shown(changes: Sequence[Change]) -> list[Change]:
    """The changes that change something, shown as a table."""
    needed = [change for change in changes if change.act != "keep"]
    rows = [(change.name, change.act.value, "\n".join(_reasons(change))) for change in needed]
    console = wide_console()
    if rows:
        console.print(PlainTable(("job", "act", "what"), rows, numbers=(False,) * 3))
    console.print(f"{count(len(changes) - len(needed), 'job')} as declared, {count(len(needed), 'change')} needed")
    return needed


def _reasons(change: Change) -> tuple[str, ...]:
    return (*change.reasons, "stays paused") if change.is_paused else change.reasons


def _row(job: Scheduled) -> tuple[str, ...]:
    last = _minute(job.last_attempt)
    answer = "" if job.last_attempt is None else ", done" if job.last_status == 0 else f", failed ({job.last_status})"
    # A paused job keeps the time of a run that will not come.
    next_run = _minute(job.next_run if job.state == "ENABLED" else None)
    return job.name, job.schedule, job.state.lower().replace("_", " "), next_run, last + answer


def _minute(at: datetime | None) -> str:
    return "none" if at is None else f"{at:%Y-%m-%d %H:%M}"
