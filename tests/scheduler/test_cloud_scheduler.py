"""The declared jobs reach Cloud Scheduler's API as they are, once, and nobody else's job is touched."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import grpc
import pytest
from google.auth.exceptions import DefaultCredentialsError
from google.cloud import scheduler_v1

from cli.cloud_scheduler import MARK, Act, CloudScheduler, SchedulesFailed
from core.cycle.claim import LEASE_LENGTH
from core.schedules import ATTEMPT_DEADLINE, CRYPTO_CYCLE, JOBS, STOCKS_CYCLE, Job
from tests.scheduler.service import DEPLOYMENT, Service, State

JOBS_PATH = "projects/demo-x/locations/us-east4/jobs"
CRYPTO_PATH = f"{JOBS_PATH}/cronfolio-crypto_cycle"
STOCKS_PATH = f"{JOBS_PATH}/cronfolio-stocks_cycle"


def apply(service: Service, *declared: Job) -> list[Act]:
    """Plan and apply; what was done with each job."""
    scheduler = service.scheduler()
    changes = scheduler.plan(declared)
    for change in changes:
        scheduler.apply(change)
    return [change.act for change in changes]


def foreign(name: str, description: str = "nightly backup") -> scheduler_v1.Job:
    return scheduler_v1.Job(name=f"{JOBS_PATH}/{name}", description=description, schedule="0 3 * * *")


def test_an_empty_project_gets_every_declared_job(service: Service) -> None:
    assert apply(service, *JOBS) == [Act.CREATE] * len(JOBS)

    assert service.states() == {f"cronfolio-{job.name}": "ENABLED" for job in JOBS}


def test_a_created_job_calls_its_function_as_the_service_account(service: Service) -> None:
    """I-65: private functions are called with a token for their own address, and nobody else holds one."""
    apply(service, STOCKS_CYCLE)

    job = service.jobs[STOCKS_PATH]
    assert (job.schedule, job.time_zone) == ("1-59/5 9-15 * * 1-5", "America/New_York")
    assert job.http_target.uri == "https://us-east4-demo-x.cloudfunctions.net/stocks_cycle"
    assert job.http_target.http_method == scheduler_v1.HttpMethod.POST
    assert job.http_target.oidc_token.service_account_email == "caller@demo-x.iam.gserviceaccount.com"
    assert job.http_target.oidc_token.audience == job.http_target.uri


def test_an_attempt_outlives_the_function_and_ends_before_the_lease(service: Service) -> None:
    apply(service, CRYPTO_CYCLE)

    job = service.jobs[CRYPTO_PATH]
    assert job.attempt_deadline == ATTEMPT_DEADLINE
    assert timedelta(seconds=120) < job.attempt_deadline < LEASE_LENGTH
    assert job.retry_config.retry_count == 5
    assert (job.retry_config.min_backoff_duration, job.retry_config.max_backoff_duration) == (
        timedelta(seconds=10),
        timedelta(seconds=60),
    )


def test_applying_a_second_time_writes_nothing(service: Service) -> None:
    apply(service, *JOBS)
    writes = service.writes()

    assert apply(service, *JOBS) == [Act.KEEP] * len(JOBS)

    assert service.writes() == writes


def test_a_changed_schedule_is_updated_and_told(service: Service) -> None:
    apply(service, CRYPTO_CYCLE)
    every_ten = replace(CRYPTO_CYCLE, cron="*/10 * * * *")

    (change,) = service.scheduler().plan([every_ten])
    service.scheduler().apply(change)

    assert change.reasons == ("schedule */5 * * * * UTC -> */10 * * * * UTC",)
    assert service.jobs[CRYPTO_PATH].schedule == "*/10 * * * *"
    assert service.calls["CreateJob"] == 1


def test_what_was_changed_by_hand_is_put_right(service: Service) -> None:
    apply(service, CRYPTO_CYCLE)
    job = service.jobs[CRYPTO_PATH]
    job.http_target.oidc_token.audience = "https://elsewhere.example"
    job.attempt_deadline = timedelta(seconds=900)

    (change,) = service.scheduler().plan([CRYPTO_CYCLE])
    service.scheduler().apply(change)

    assert [reason.split()[0] for reason in change.reasons] == ["caller", "deadline"]
    assert service.jobs[CRYPTO_PATH].attempt_deadline == timedelta(seconds=150)


def test_a_failed_update_is_sent_again(service: Service) -> None:
    apply(service, CRYPTO_CYCLE)
    service.jobs[CRYPTO_PATH].state = State.UPDATE_FAILED

    assert apply(service, CRYPTO_CYCLE) == [Act.UPDATE]

    assert service.states() == {"cronfolio-crypto_cycle": "ENABLED"}


def test_a_paused_job_stays_paused_over_an_update(service: Service) -> None:
    apply(service, CRYPTO_CYCLE)
    service.scheduler().pause("crypto_cycle")

    assert apply(service, replace(CRYPTO_CYCLE, cron="*/10 * * * *")) == [Act.UPDATE]

    assert service.jobs[CRYPTO_PATH].schedule == "*/10 * * * *"
    assert service.states() == {"cronfolio-crypto_cycle": "PAUSED"}


def test_a_job_paused_after_the_plan_stays_paused(service: Service) -> None:
    apply(service, CRYPTO_CYCLE)
    (change,) = service.scheduler().plan([replace(CRYPTO_CYCLE, cron="*/10 * * * *")])
    service.scheduler().pause("crypto_cycle")

    service.scheduler().apply(change)

    assert service.states() == {"cronfolio-crypto_cycle": "PAUSED"}


def test_a_paused_job_stays_paused_when_the_answer_to_its_update_is_lost(service: Service) -> None:
    apply(service, CRYPTO_CYCLE)
    service.scheduler().pause("crypto_cycle")
    service.loses = {"UpdateJob"}

    apply(service, replace(CRYPTO_CYCLE, cron="*/10 * * * *"))

    assert service.states() == {"cronfolio-crypto_cycle": "PAUSED"}


def test_a_stray_of_ours_is_deleted_and_foreign_jobs_are_left_alone(service: Service) -> None:
    apply(service, *JOBS)
    backup, prefixed = foreign("backup", MARK), foreign("cronfolio-backup")
    service.jobs |= {backup.name: backup, prefixed.name: prefixed}

    assert apply(service, CRYPTO_CYCLE) == [Act.KEEP, *[Act.DELETE] * (len(JOBS) - 1)]

    assert sorted(service.states()) == ["backup", "cronfolio-backup", "cronfolio-crypto_cycle"]


def test_a_foreign_job_with_a_name_of_ours_stops_the_plan(service: Service) -> None:
    job = foreign("cronfolio-crypto_cycle")
    service.jobs[job.name] = job

    with pytest.raises(SchedulesFailed, match=r"is not ours .*'nightly backup'"):
        service.scheduler().plan(JOBS)


def test_a_foreign_job_with_a_name_of_ours_is_not_paused(service: Service) -> None:
    job = foreign("cronfolio-crypto_cycle")
    service.jobs[job.name] = job

    with pytest.raises(SchedulesFailed, match="no job cronfolio-crypto_cycle of ours to pause"):
        service.scheduler().pause("crypto_cycle")

    assert service.writes() == 0


def test_pausing_and_resuming_twice_is_the_same_as_once(service: Service) -> None:
    apply(service, *JOBS)

    for _ in range(2):
        service.scheduler().pause("crypto_cycle")
    assert service.states()["cronfolio-crypto_cycle"] == "PAUSED"
    for _ in range(2):
        service.scheduler().resume("crypto_cycle")

    assert service.states()["cronfolio-crypto_cycle"] == "ENABLED"
    assert (service.calls["PauseJob"], service.calls["ResumeJob"]) == (1, 1)


def test_a_read_is_repeated_when_the_service_is_unavailable(service: Service) -> None:
    service.refuses = {"ListJobs": [grpc.StatusCode.UNAVAILABLE]}

    assert service.scheduler().jobs() == ()

    assert service.calls["ListJobs"] == 2


def test_a_create_without_an_answer_is_looked_up_and_not_sent_again(service: Service) -> None:
    service.loses = {"CreateJob"}

    apply(service, CRYPTO_CYCLE)

    assert (service.calls["CreateJob"], service.calls["GetJob"]) == (1, 1)
    assert list(service.jobs) == [CRYPTO_PATH]


@pytest.mark.parametrize("method", ["CreateJob", "PauseJob"])
def test_a_write_that_did_not_arrive_is_sent_once_and_told(service: Service, method: str) -> None:
    if method == "PauseJob":
        apply(service, CRYPTO_CYCLE)
    service.refuses = {method: [grpc.StatusCode.UNAVAILABLE] * 5}

    with pytest.raises(SchedulesFailed, match=f"{method} was refused; run the same command again"):
        apply(service, CRYPTO_CYCLE) if method == "CreateJob" else service.scheduler().pause("crypto_cycle")

    assert service.calls[method] == 1


def test_a_pause_that_the_service_does_not_show_is_no_success(service: Service) -> None:
    """I-05: done is what is read back, not what was answered."""
    apply(service, CRYPTO_CYCLE)
    service.ignores = {"PauseJob"}

    with pytest.raises(SchedulesFailed, match="said yes and does not show it"):
        service.scheduler().pause("crypto_cycle")


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (grpc.StatusCode.PERMISSION_DENIED, "roles cloudscheduler.admin"),
        (grpc.StatusCode.UNAUTHENTICATED, "gcloud auth application-default login"),
        (grpc.StatusCode.INVALID_ARGUMENT, "check the project, the region"),
    ],
)
def test_a_refusal_names_the_way_out(service: Service, status: grpc.StatusCode, step: str) -> None:
    service.refuses = {"CreateJob": [status]}

    with pytest.raises(SchedulesFailed, match=f"could not create {CRYPTO_PATH}: CreateJob was refused; .*{step}"):
        apply(service, CRYPTO_CYCLE)


def test_missing_credentials_are_told_with_the_command_that_gets_them() -> None:
    def connect() -> scheduler_v1.CloudSchedulerClient:
        raise DefaultCredentialsError("no credentials")

    with pytest.raises(SchedulesFailed, match="no credentials; run `gcloud auth application-default login`"):
        CloudScheduler(DEPLOYMENT, connect)
