"""Google Cloud's prices as of 2026-11-22, in dollars, with what is free of each, as the pages named here publish them.

us-east4 is a region of Cloud Run's first tier. Firestore is priced as the multi-region nam5, which is dearer than one
region; inside its free tier that makes no difference.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

RUN = "https://cloud.google.com/run/pricing"
FIRESTORE = "https://cloud.google.com/firestore/pricing"
STORAGE = "https://cloud.google.com/storage/pricing"
LOGGING = "https://cloud.google.com/stackdriver/pricing"
SCHEDULER = "https://cloud.google.com/scheduler/pricing"
SECRETS = "https://cloud.google.com/secret-manager/pricing"
REGISTRY = "https://cloud.google.com/artifact-registry/pricing"


@dataclass(frozen=True, slots=True)
class Price:
    """`dollars` for each `per` units beyond the `free` ones; `is_daily`: what is free comes anew every day."""

    group: str
    item: str
    unit: str
    free: float
    dollars: Decimal
    per: float
    source: str
    is_daily: bool = False


def _price(group: str, item: str, unit: str, free: float, dollars: str, per: float, source: str) -> Price:
    return Price(group, item, unit, free, Decimal(dollars), per, source)


def _daily(item: str, free: float, dollars: str) -> Price:
    return Price("Firestore", item, "a day", free, Decimal(dollars), 100_000, FIRESTORE, is_daily=True)


MILLION = 1_000_000
PRICES: dict[str, Price] = {
    # Billed from request to answer, rounded up to 100 ms; a start of an instance counts. Firebase's own page names more
    # that is free (400,000 GB-s, 200,000 vCPU-s); the smaller figures are Cloud Run's, where these functions run.
    "invocations": _price("Functions", "invocations", "", 2 * MILLION, "0.40", MILLION, RUN),
    "vcpu_s": _price("Functions", "vCPU-seconds", "", 180_000, "0.000024", 1, RUN),
    "gib_s": _price("Functions", "GiB-seconds", "", 360_000, "0.0000025", 1, RUN),
    # TTL deletes are billed like any other, without a free part.
    "reads": _daily("documents read", 50_000, "0.06"),
    "writes": _daily("documents written", 20_000, "0.18"),
    "deletes": _daily("documents deleted", 20_000, "0.02"),
    "stored_gib": _price("Firestore", "stored at the month's end", "GiB", 1, "0.18", 1, FIRESTORE),
    # Five GB are free in us-east1, us-west1 and us-central1 only.
    "blob_gib": _price("Cloud Storage", "stored at the month's end", "GiB", 0, "0.023", 1, STORAGE),
    "blob_writes": _price("Cloud Storage", "objects written", "", 0, "0.005", 1_000, STORAGE),
    "blob_reads": _price("Cloud Storage", "objects read", "", 0, "0.0004", 1_000, STORAGE),
    "egress_gib": _price("Network", "sent to the broker", "GiB", 1, "0.12", 1, RUN),
    "log_gib": _price("Cloud Logging", "logs", "GiB", 50, "0.50", 1, LOGGING),
    "jobs": _price("Cloud Scheduler", "jobs", "", 3, "0.10", 1, SCHEDULER),
    "secret_versions": _price("Secret Manager", "versions", "", 6, "0.06", 1, SECRETS),
    "secret_reads": _price("Secret Manager", "accesses", "", 10_000, "0.03", 10_000, SECRETS),
    "image_gb": _price("Artifact Registry", "images", "GB", 0.5, "0.10", 1, REGISTRY),
}

ALERT_CONDITION_DOLLARS = Decimal("1.50")
"""Announced for each condition of an alert policy and put off more than once, so it is told beside the bill and not in
it: https://cloud.google.com/monitoring/alerts/cost-control"""
