"""`cronfolio deploy`, `canary` and `rollback`: a new revision trades on only after a dry run of every function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any

import click
import requests

from cli import gcloud
from cli.scheduler import local_session
from cli.schedules import ACCOUNT_NAME
from core.schedules import JOBS, REGION

FUNCTIONS = tuple(sorted({*(job.function for job in JOBS), "ops"}))
OPS = "ops"
CANARY_TIMEOUT_S = 150.0
"""A cold start and a whole cycle."""


class CanaryFailed(click.ClickException):
    """A function does not answer as the new revision should."""


@dataclass(frozen=True, slots=True)
class Serving:
    """A deployed function: its Cloud Run service, address, newest revision, and the one that gets the traffic."""

    service: str
    url: str
    newest: str
    revision: str


def service_of(function: str) -> str:
    """The Cloud Run service behind a 2nd generation function."""
    return function.lower().replace("_", "-")


def traffic_arguments(service: str, revision: str | None, region: str) -> tuple[str, ...]:
    """What gives gcloud all traffic of a service to one revision; None is always the newest."""
    target = "--to-latest" if revision is None else f"--to-revisions={revision}=100"
    return ("run", "services", "update-traffic", service, target, f"--region={region}")


def serving(project: str, region: str) -> dict[str, Serving]:
    """Our deployed functions by name; one that was never deployed is left out."""
    listed = gcloud.gcloud_list("run", "services", "list", f"--region={region}", project=project)
    statuses = {entry["metadata"]["name"]: entry.get("status", {}) for entry in listed}
    found = {function: _serving(service_of(function), statuses.get(service_of(function), {})) for function in FUNCTIONS}
    return {function: one for function, one in found.items() if one is not None}


def _serving(service: str, status: Mapping[str, Any]) -> Serving | None:
    newest = status.get("latestReadyRevisionName")
    if not newest:
        return None
    most: Mapping[str, Any] = max(status.get("traffic", ()), key=lambda target: target.get("percent", 0), default={})
    return Serving(service, status["url"], newest, most.get("revisionName", newest))


def of_a_project(command: Callable[..., None]) -> Callable[..., None]:
    """NAME as a project, and the region."""

    @click.argument("name")
    @click.option("--region", default=REGION, show_default=True, help="Where the functions are deployed.")
    @wraps(command)
    def called(name: str, **options: Any) -> None:
        command(name, gcloud.project_of(name), **options)

    return called


@click.command()
@of_a_project
def deploy(name: str, project: str, region: str) -> None:
    """Deploy to NAME, an alias in .firebaserc or a project, and dry-run every function.

    If one fails, the traffic of all goes back to the revisions that served before. Rules, indexes and schedules stay.
    """
    before = serving(project, region)
    try:
        gcloud.run(("firebase", "deploy", "--project", name, "--non-interactive"), is_shown=True)
        after = serving(project, region)
        missing = sorted(set(FUNCTIONS) - set(after))
        if missing:
            raise CanaryFailed(f"{', '.join(missing)} is not there after the deployment")
        for one in after.values():
            # A rollback before this one left the traffic on an older revision.
            gcloud.gcloud(*traffic_arguments(one.service, None, region), project=project)
        for function, one in after.items():
            token = _identity_token(project, one.url)
            dry_run(function, one.url, one.newest, token)
            click.echo(f"{function}: {one.newest} answers")
            # Older revisions would not be better off, so these keep no deployment back.
            for problem in account_problems(one.url, token) if function == OPS else ():
                click.echo(f"problem: {problem}", err=True)
    except click.ClickException as error:
        restored = _rolled_back(before, project, region)
        raise click.ClickException(f"{error.message}\n{restored}") from error


@click.command()
@click.argument("function", type=click.Choice(FUNCTIONS))
@click.option("--url", required=True, help="The function's root.")
@click.option("--revision", required=True, help="The revision that must answer.")
@click.option("--token", envvar="CRONFOLIO_LOCAL_TOKEN", default="", help="What the caller shows, if it must.")
def canary(function: str, url: str, revision: str, token: str) -> None:
    """Call FUNCTION so that it looks and decides and sends nothing, and check its answer; `ops` also tells what is
    wrong with the account."""
    dry_run(function, url, revision, token)
    problems = account_problems(url, token) if function == OPS else ()
    if problems:
        raise CanaryFailed("\n".join(problems))
    click.echo(f"{function}: {revision} answers")


@click.command()
@of_a_project
@click.option("--to", "revisions", multiple=True, metavar="REVISION", help="Give the traffic to these; else one back.")
def rollback(name: str, project: str, region: str, revisions: tuple[str, ...]) -> None:
    """Give the traffic of NAME's functions to older revisions; nothing is built or deleted."""
    now = serving(project, region)
    chosen = {function: _older(one, revisions, project, region) for function, one in now.items()}
    strays = set(revisions) - set(chosen.values())
    if strays:
        raise click.UsageError(f"{', '.join(sorted(strays))} is no revision of a function of ours")
    for function, one in now.items():
        revision = chosen[function]
        if revision is not None:
            gcloud.gcloud(*traffic_arguments(one.service, revision, region), project=project)
            click.echo(f"{function}: {one.revision} -> {revision}")


def dry_run(function: str, url: str, revision: str, token: str) -> None:
    """One harmless call; `CanaryFailed` unless `revision` answers that it went well."""
    if function == OPS:
        found = _answer(function, f"{url.rstrip('/')}/status", token)
    else:
        found = _answer(function, url, token, {"dry_run": True, "run_id": f"canary-{revision}"[:64]})
    if found.get("revision") != revision:
        raise CanaryFailed(f"{function} is answered by revision {found.get('revision')}, not {revision}")
    if function != OPS and found.get("outcome") != "dry_run":
        raise CanaryFailed(f"{function} ended with outcome {found.get('outcome')}, not dry_run")


def account_problems(ops_url: str, token: str) -> Sequence[str]:
    """What `ops` says a person must set right at the broker, or that it cannot say so."""
    try:
        problems: Sequence[str] = _answer(OPS, f"{ops_url.rstrip('/')}/health/ready", token)["problems"]
    except CanaryFailed as error:
        return (error.message,)
    return problems


def _answer(function: str, address: str, token: str, body: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    """The JSON that a POST of this body, or without one a GET, is answered with; `CanaryFailed` unless all is well."""
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    method = "GET" if body is None else "POST"
    try:
        with local_session() as session:
            answer = session.request(method, address, json=body, headers=headers, timeout=CANARY_TIMEOUT_S)
    except requests.RequestException as error:
        raise CanaryFailed(f"{function} at {address} gave no answer: {type(error).__name__}") from error
    if answer.status_code != 200:
        raise CanaryFailed(f"{function} answered {answer.status_code}: {answer.text.strip()[:300]}")
    try:
        found: Mapping[str, Any] = answer.json()
    except ValueError as error:
        raise CanaryFailed(f"{function} answered no JSON: {answer.text.strip()[:300]}") from error
    return found


def _rolled_back(before: Mapping[str, Serving], project: str, region: str) -> str:
    """All traffic to what served before the deployment; each service is tried, whatever became of the others."""
    words = []
    for function, one in before.items():
        try:
            gcloud.gcloud(*traffic_arguments(one.service, one.revision, region), project=project)
            words.append(f"{function} is back on {one.revision}")
        except click.ClickException as error:
            words.append(f"{function} is NOT back: {error.message}")
    if not before:
        words.append("nothing served before; run `cronfolio schedules pause --all`")
    return "\n".join(words)


def _older(one: Serving, revisions: tuple[str, ...], project: str, region: str) -> str | None:
    """The revision of this service that is asked for, or the one before that which serves."""
    arguments = ("run", "revisions", "list", f"--service={one.service}", f"--region={region}")
    listed = gcloud.gcloud_list(*arguments, "--sort-by=~metadata.creationTimestamp", project=project)
    names = [entry["metadata"]["name"] for entry in listed]
    if revisions:
        return next((revision for revision in revisions if revision in names), None)
    older = names[names.index(one.revision) + 1 :] if one.revision in names else []
    return older[0] if older else None


def _identity_token(project: str, url: str) -> str:
    """A token of the account that also the scheduler calls as."""
    account = f"{ACCOUNT_NAME}@{project}.iam.gserviceaccount.com"
    arguments = ("auth", "print-identity-token", f"--impersonate-service-account={account}", f"--audiences={url}")
    return gcloud.gcloud(*arguments, "--include-email", project=project).strip()
