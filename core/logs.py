"""Structured logs: one JSON object a line with Cloud Logging's field names."""

from __future__ import annotations

import logging
from typing import Any

import structlog


def configure(level: str) -> None:
    """Log JSON lines at this level and above to standard output."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", key="time"),
            structlog.processors.format_exc_info,
            _as_cloud_logging,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=False,
    )


def _as_cloud_logging(logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """`severity` and `message` are the names that Cloud Logging reads."""
    event["severity"] = event.pop("level").upper()
    event["message"] = event.pop("event")
    return event
