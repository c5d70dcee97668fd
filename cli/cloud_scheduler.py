"""The declared jobs in Cloud Scheduler: what differs there, and making it so. No function ever imports this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from google.api_core import exceptions, retry
from google.auth.exceptions import GoogleAuthError
from google.cloud import scheduler_v1

from core.errors import CronfolioError
from core.schedules import DOUBLINGS, FIRST_RETRY, LONGEST_RETRY, RETRIES, Job

PREFIX = "cronfolio-"
MARK = "Managed by Cronfolio: core/schedules.py declares it."
"""The description of every job of ours. Without it a job is somebody else's and is never touched: keep these words."""

CALL_TIMEOUT_S = 10.0
READ_RETRY = retry.Retry(initial=0.2, maximum=2.0, timeout=30.0)
WRITTEN = ("description", "schedule", "time_zone", "http_target", "attempt_deadline", "retry_config")
NEXT_STEPS: dict[type[Exception], str] = {
    exceptions.PermissionDenied: "run `gcloud services enable cloudscheduler.googleapis.com`, and have the roles "
    "cloudscheduler.admin on the project and iam.serviceAccountUser on the service account that the jobs use",
    exceptions.Unauthenticated: "run `gcloud auth application-default login`",
    exceptions.NotFound: "check the project, the region and the service account",
    exceptions.InvalidArgument: "check the project, the region and the service account",
    exceptions.ServerError: "run the same command again",
    GoogleAuthError: "run `gcloud auth application-default login`",
}


class SchedulesFailed(CronfolioError):
    """Cloud Scheduler refused, gave no answer, or does not show what was asked for; the same call again is safe."""


class Act(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    KEEP = "keep"


@dataclass(frozen=True, slots=True)
class Change:
    """What is to be done with one job, and why; `job` is None for a stray."""

    act: Act
    name: str
    reasons: tuple[str, ...]
    is_paused: bool = False
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class Scheduled:
    """One job of ours as Cloud Scheduler has it; times are UTC, `last_status` is a gRPC code and 0 is success."""

    name: str
    schedule: str
    state: str
    next_run: datetime | None
    last_attempt: datetime | None
    last_status: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """Where the functions are, and the e-mail of the service account that calls them."""

    project: str
    region: str
    service_account: str

    @property
    def parent(self) -> str:
        return f"projects/{self.project}/locations/{self.region}"

    def path(self, name: str) -> str:
        return f"{self.parent}/jobs/{PREFIX}{name}"

    def function_url(self, function: str) -> str:
        """A function's lasting address; the service behind a 2nd generation function takes it as an audience, too."""
        return f"https://{self.region}-{self.project}.cloudfunctions.net/{function}"

    def wanted(self, job: Job) -> scheduler_v1.Job:
        """The declared job as Cloud Scheduler is to have it."""
        url = self.function_url(job.function)
        return scheduler_v1.Job(
            name=self.path(job.name),
            description=MARK,
            schedule=job.cron,
            time_zone=job.time_zone,
            http_target=scheduler_v1.HttpTarget(
                uri=url,
                http_method=scheduler_v1.HttpMethod.POST,
                oidc_token=scheduler_v1.OidcToken(service_account_email=self.service_account, audience=url),
            ),
            attempt_deadline=job.attempt_deadline,
            retry_config=scheduler_v1.RetryConfig(
                retry_count=RETRIES,
                min_backoff_duration=FIRST_RETRY,
                max_backoff_duration=LONGEST_RETRY,
                max_doublings=DOUBLINGS,
            ),
        )


class CloudScheduler:
    """The jobs of one deployment. Reads are retried; a write is sent once, and what is then read back decides.

    Everything raises SchedulesFailed, with the next step in its message.
    """

    def __init__(
        self,
        deployment: Deployment,
        connect: Callable[[], scheduler_v1.CloudSchedulerClient] = scheduler_v1.CloudSchedulerClient,
    ) -> None:
        self._deployment = deployment
        try:
            self._client = connect()
        except GoogleAuthError as error:
            raise _failure("reach Cloud Scheduler", error) from error

    def jobs(self) -> tuple[Scheduled, ...]:
        """The jobs that carry our mark, declared or stray, by name."""
        return tuple(_scheduled(name, job) for name, job in sorted(self._prefixed().items()) if job.description == MARK)

    def plan(self, declared: Sequence[Job]) -> tuple[Change, ...]:
        """One change for each declared job and each stray. Raises where somebody else's job has a name of ours."""
        found = self._prefixed()
        names = {job.name for job in declared}
        strays = sorted(name for name, job in found.items() if job.description == MARK and name not in names)
        return (
            *(self._change(job, found.get(job.name)) for job in declared),
            *(Change(Act.DELETE, name, ("no longer declared",)) for name in strays),
        )

    def apply(self, change: Change) -> None:
        """Carry one change out. A job that is paused stays paused, whatever becomes of its update."""
        name, job = change.name, change.job
        if change.act is Act.DELETE:
            request: dict[str, Any] = {"name": self._deployment.path(name)}
            self._confirmed("delete", name, self._client.delete_job, request, lambda found: found is None)
        if job is None or change.act is Act.KEEP:
            return
        wanted = self._deployment.wanted(job)

        def is_as_wanted(found: scheduler_v1.Job | None) -> bool:
            return found is not None and not _differences(found, wanted)

        if change.act is Act.CREATE:
            request = {"parent": self._deployment.parent, "job": wanted}
            self._confirmed("create", name, self._client.create_job, request, is_as_wanted)
            return
        found = self._found(name)
        try:
            request = {"job": wanted, "update_mask": {"paths": list(WRITTEN)}}
            self._confirmed("update", name, self._client.update_job, request, is_as_wanted)
        finally:
            # An update may set a job going again.
            if found is not None and found.state.name == "PAUSED":
                self.pause(name)

    def pause(self, name: str) -> None:
        """The job of this name no longer runs; one that is paused already is left as it is."""
        self._bring(name, "pause", self._client.pause_job, "PAUSED")

    def resume(self, name: str) -> None:
        """The job of this name runs again; one that is enabled already is left as it is."""
        self._bring(name, "resume", self._client.resume_job, "ENABLED")

    def _bring(self, name: str, verb: str, method: Callable[..., Any], state: str) -> None:
        found = self._found(name)
        if found is None or found.description != MARK:
            raise SchedulesFailed(f"there is no job {PREFIX}{name} of ours to {verb}; run `cronfolio schedules apply`")
        if found.state.name != state:
            request = {"name": found.name}
            self._confirmed(verb, name, method, request, lambda now: now is not None and now.state.name == state)

    def _change(self, job: Job, found: scheduler_v1.Job | None) -> Change:
        if found is None:
            return Change(Act.CREATE, job.name, (f"{job.cron} {job.time_zone}",), job=job)
        if found.description != MARK:
            raise SchedulesFailed(
                f"{found.name} exists and is not ours (its description is {found.description!r}); delete it there first"
            )
        differences = _differences(found, self._deployment.wanted(job))
        act = Act.UPDATE if differences else Act.KEEP
        return Change(act, job.name, differences, found.state.name == "PAUSED", job)

    def _prefixed(self) -> dict[str, scheduler_v1.Job]:
        """The jobs whose name has our prefix, by the name without it."""
        parent = self._deployment.parent
        try:
            pages = self._client.list_jobs(parent=parent, retry=READ_RETRY, timeout=CALL_TIMEOUT_S)
            start = f"{parent}/jobs/{PREFIX}"
            return {job.name.removeprefix(start): job for job in pages if job.name.startswith(start)}
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise _failure(f"list the jobs of {parent}", error) from error

    def _found(self, name: str) -> scheduler_v1.Job | None:
        path = self._deployment.path(name)
        try:
            return self._client.get_job(name=path, retry=READ_RETRY, timeout=CALL_TIMEOUT_S)
        except exceptions.NotFound:
            return None
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            raise _failure(f"read {path}", error) from error

    def _confirmed(
        self,
        verb: str,
        name: str,
        method: Callable[..., Any],
        request: dict[str, Any],
        holds: Callable[[scheduler_v1.Job | None], bool],
    ) -> None:
        """Send a write once and read back: a lost answer may stand for a write that was done."""
        refusal: Exception | None = None
        try:
            method(request=request, retry=None, timeout=CALL_TIMEOUT_S)
        except (exceptions.GoogleAPIError, GoogleAuthError) as error:
            refusal = error
        if holds(self._found(name)):
            return
        action = f"{verb} {self._deployment.path(name)}"
        if refusal is not None:
            raise _failure(action, refusal) from refusal
        raise SchedulesFailed(f"{action}: Cloud Scheduler said yes and does not show it; run the same command again")


def _differences(found: scheduler_v1.Job, wanted: scheduler_v1.Job) -> tuple[str, ...]:
    """What to change, in words. What the service itself fills in, as a target's headers, is not looked at."""
    was, will_be = _facts(found), _facts(wanted)
    differences = tuple(f"{fact} {was[fact]} -> {will_be[fact]}" for fact in will_be if was[fact] != will_be[fact])
    # The service asks for such an update to be sent until it succeeds.
    return (*differences, "its last update failed") if found.state.name == "UPDATE_FAILED" else differences


def _facts(job: scheduler_v1.Job) -> dict[str, str]:
    target, retries = job.http_target, job.retry_config
    return {
        "schedule": f"{job.schedule} {job.time_zone}",
        "target": f"{target.http_method.name} {target.uri}{' with a body' if target.body else ''}",
        "caller": f"{target.oidc_token.service_account_email} for {target.oidc_token.audience}",
        "deadline": str(job.attempt_deadline),
        "retries": f"{retries.retry_count} after {retries.min_backoff_duration} to {retries.max_backoff_duration}, "
        f"{retries.max_doublings} doublings, within {retries.max_retry_duration}",
    }


def _scheduled(name: str, job: scheduler_v1.Job) -> Scheduled:
    schedule = f"{job.schedule} {job.time_zone}"
    return Scheduled(name, schedule, job.state.name, job.schedule_time, job.last_attempt_time, job.status.code)


def _failure(action: str, error: Exception) -> SchedulesFailed:
    """The refusal in words, with the way out where there is a known one."""
    cause = error.cause if isinstance(error, exceptions.RetryError) and error.cause else error
    steps = [step for kind, step in NEXT_STEPS.items() if isinstance(cause, kind)]
    return SchedulesFailed("; ".join((f"could not {action}: {getattr(cause, 'message', cause)}", *steps[:1])))
