"""Cloud Scheduler's API over a real gRPC channel: jobs in memory, its defaults and refusals, and failures to order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import grpc
from google.cloud import scheduler_v1
from google.cloud.scheduler_v1.services.cloud_scheduler.transports import CloudSchedulerGrpcTransport
from google.protobuf import empty_pb2

from cli.cloud_scheduler import CloudScheduler, Deployment

DEPLOYMENT = Deployment("demo-x", "us-east4", "caller@demo-x.iam.gserviceaccount.com")
PAGE = 2
State: Any = scheduler_v1.Job.State
REQUESTS: dict[str, Any] = {
    "ListJobs": scheduler_v1.ListJobsRequest,
    "GetJob": scheduler_v1.GetJobRequest,
    "CreateJob": scheduler_v1.CreateJobRequest,
    "UpdateJob": scheduler_v1.UpdateJobRequest,
    "DeleteJob": scheduler_v1.DeleteJobRequest,
    "PauseJob": scheduler_v1.PauseJobRequest,
    "ResumeJob": scheduler_v1.ResumeJobRequest,
}


@dataclass
class Service(grpc.GenericRpcHandler):
    """`jobs` by full name; `calls` counts by method.

    `refuses` answers a method's next calls with these statuses and does nothing; `loses` does the call and answers
    UNAVAILABLE; `ignores` answers as if the call had been done.
    """

    jobs: dict[str, scheduler_v1.Job] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)
    refuses: dict[str, list[grpc.StatusCode]] = field(default_factory=dict)
    loses: set[str] = field(default_factory=set)
    ignores: set[str] = field(default_factory=set)
    address: str = ""

    def service(self, details: Any) -> Any:
        method = details.method.rpartition("/")[2]
        return grpc.unary_unary_rpc_method_handler(
            lambda request, context: self._answer(method, request, context),
            request_deserializer=REQUESTS[method].deserialize,
            response_serializer=lambda answer: answer.SerializeToString(),
        )

    def _answer(self, method: str, request: Any, context: grpc.ServicerContext) -> Any:
        self.calls[method] += 1
        if self.refuses.get(method):
            context.abort(self.refuses[method].pop(0), f"{method} was refused")
        if method in self.ignores:
            return scheduler_v1.Job.pb(scheduler_v1.Job(name=request.name))
        answer = getattr(self, f"_{method}")(request, context)
        if method in self.loses:
            context.abort(grpc.StatusCode.UNAVAILABLE, "connection reset")
        return answer if isinstance(answer, empty_pb2.Empty) else type(answer).pb(answer)

    def _ListJobs(self, request: Any, context: grpc.ServicerContext) -> Any:
        start = int(request.page_token or 0)
        names = sorted(name for name in self.jobs if name.startswith(f"{request.parent}/jobs/"))
        more = start + PAGE < len(names)
        page = [self.jobs[name] for name in names[start : start + PAGE]]
        return scheduler_v1.ListJobsResponse(jobs=page, next_page_token=str(start + PAGE) if more else "")

    def _GetJob(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.name not in self.jobs:
            context.abort(grpc.StatusCode.NOT_FOUND, "Job not found.")
        return self.jobs[request.name]

    def _CreateJob(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.job.name in self.jobs:
            context.abort(grpc.StatusCode.ALREADY_EXISTS, "Job already exists.")
        return self._stored(request.job)

    def _UpdateJob(self, request: Any, context: grpc.ServicerContext) -> Any:
        job = scheduler_v1.Job(self._GetJob(request.job, context))
        for path in request.update_mask.paths:
            setattr(job, path, getattr(request.job, path))
        return self._stored(job)

    def _DeleteJob(self, request: Any, context: grpc.ServicerContext) -> Any:
        del self.jobs[self._GetJob(request, context).name]
        return empty_pb2.Empty()

    def _PauseJob(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._moved(request, context, State.ENABLED, State.PAUSED)

    def _ResumeJob(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._moved(request, context, State.PAUSED, State.ENABLED)

    def _moved(self, request: Any, context: grpc.ServicerContext, before: Any, after: Any) -> Any:
        job = self._GetJob(request, context)
        if job.state != before:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, f"The job must be {State(before).name}.")
        job.state = after
        return job

    def _stored(self, job: scheduler_v1.Job) -> scheduler_v1.Job:
        """What the service adds of its own; an update sets a paused job going again, which is the worst it may do."""
        job.state = State.ENABLED
        job.http_target.headers["User-Agent"] = "Google-Cloud-Scheduler"
        job.retry_config.max_retry_duration = job.retry_config.max_retry_duration or timedelta()
        job.schedule_time = datetime(2026, 1, 5, 14, 31, tzinfo=UTC)
        self.jobs[job.name] = job
        return job

    def states(self) -> dict[str, str]:
        return {name.rpartition("/")[2]: State(job.state).name for name, job in self.jobs.items()}

    def writes(self) -> int:
        return sum(self.calls.values()) - self.calls["ListJobs"] - self.calls["GetJob"]

    def scheduler(self) -> CloudScheduler:
        """The product's own adapter, on a channel of its own to this service."""
        transport = CloudSchedulerGrpcTransport(channel=grpc.insecure_channel(self.address))
        return CloudScheduler(DEPLOYMENT, lambda: scheduler_v1.CloudSchedulerClient(transport=transport))


@contextmanager
def cloud_scheduler() -> Iterator[Service]:
    """A service without jobs, listening on a free port."""
    service = Service()
    server = grpc.server(ThreadPoolExecutor(2), handlers=[service])
    service.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield service
    finally:
        server.stop(None).wait(5)
