"""Structured logs: one JSON object a line with Cloud Logging's field names, without any secret."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Collection, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any

import structlog
from pydantic import SecretStr

from core.webhook import Webhook

if TYPE_CHECKING:
    from core.settings import Settings

REDACTED = "[redacted]"
SECRET_NAME = re.compile(
    r"secret|token|password|passwd|authorization|api[-_]?key|apca|credential|private[-_]?key|cookie|webhook_url",
    re.IGNORECASE,
)
"""A field of such a name loses its value, whatever that is."""
BEARER = re.compile(r"(?i)\b(bearer)\s+[\w.~+/=\[\]-]{8,}")
SHORTEST_SECRET = 6
"""Values shorter than this are no secrets but words that stand in many a line."""
TRACE = re.compile(r"([0-9a-f]{32})(/|$)")
ALARMS = frozenset({"ERROR", "CRITICAL"})


def configure(level: str, *, secrets: Collection[str] = (), webhook: Webhook | None = None) -> None:
    """Log JSON lines at this level and above to standard output, never with one of the `secrets` in them.

    `webhook` is posted what is an error or worse.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", key="time"),
            structlog.processors.format_exc_info,
            _as_cloud_logging,
            _Line(secrets, webhook),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        cache_logger_on_first_use=False,
    )


def configure_for(settings: Settings) -> None:
    """As these settings say: their level, none of their secrets, their webhook."""
    webhook_url = settings.alert_webhook_url.get_secret_value()
    secrets = [value.get_secret_value() for _, value in settings if isinstance(value, SecretStr)]
    configure(settings.log_level, secrets=secrets, webhook=_webhook(webhook_url) if webhook_url else None)


def finish() -> None:
    """Wait a moment for the alarms under way, since after its answer an instance may be frozen."""
    line = structlog.get_config()["processors"][-1]
    if isinstance(line, _Line) and line.webhook is not None:
        line.webhook.finish()


def trace_fields(header: str | None, project: str) -> dict[str, str]:
    """What ties a line to its request, from `X-Cloud-Trace-Context: TRACE/SPAN;o=1`; nothing for any other header."""
    found = TRACE.match(header or "")
    return {"logging.googleapis.com/trace": f"projects/{project}/traces/{found[1]}"} if found and project else {}


@cache
def _webhook(url: str) -> Webhook:
    """One a process, so that its rate holds over many cycles."""
    return Webhook(url)


def _as_cloud_logging(logger: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
    """`severity` and `message` are the names that Cloud Logging reads."""
    event["severity"] = event.pop("level").upper()
    event["message"] = event.pop("event")
    return event


class _Line:
    """The event as a line of JSON. Fields named like secrets go by their name, configured secrets wherever they are."""

    def __init__(self, secrets: Collection[str], webhook: Webhook | None) -> None:
        known = {secret for secret in secrets if len(secret) >= SHORTEST_SECRET}
        # A secret with a quote or a letter beyond ASCII stands in JSON in another spelling.
        self._secrets = sorted(known | {json.dumps(secret)[1:-1] for secret in known}, key=len, reverse=True)
        self.webhook = webhook

    def __call__(self, logger: Any, method: str, event: structlog.typing.EventDict) -> str:
        line = json.dumps(self._told(event))
        if self.webhook is not None and event["severity"] in ALARMS:
            self.webhook.post(line)
        return line

    def _told(self, value: Any) -> Any:
        """`value` in JSON's terms; what JSON does not know is told as its text, as is a number with a secret in it."""
        if isinstance(value, Mapping):
            return {
                self._redacted(str(name)): REDACTED if SECRET_NAME.search(str(name)) else self._told(one)
                for name, one in value.items()
            }
        if isinstance(value, list | tuple | set | frozenset):
            return [self._told(one) for one in value]
        text = self._redacted(str(value))
        return value if isinstance(value, int | None) and text == str(value) else text

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, REDACTED)
        return BEARER.sub(rf"\1 {REDACTED}", text)
