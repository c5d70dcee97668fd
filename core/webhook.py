"""Posts alarms to a chat or pager: it keeps no cycle waiting, fails none, and sends a few a minute at most."""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import requests
import structlog

TIMEOUT_S = 2.0
MOST_A_MINUTE = 10
MINUTE_S = 60.0

log = structlog.get_logger()


class Webhook:
    """Sends lines of JSON from threads of its own. Above its rate it drops them; the next that goes says how many."""

    def __init__(self, url: str, *, elapsed_s: Callable[[], float] = time.monotonic) -> None:
        self._url = url
        self._elapsed_s = elapsed_s
        self._lock = threading.Lock()
        self._sent_at_s: deque[float] = deque(maxlen=MOST_A_MINUTE)
        self._dropped = 0
        self._running: list[threading.Thread] = []

    def post(self, line: str) -> None:
        """Send `line`, an event in JSON, without waiting. The body has it as `event`, and in words as `text`."""
        with self._lock:
            now_s = self._elapsed_s()
            if len(self._sent_at_s) == MOST_A_MINUTE and now_s - self._sent_at_s[0] < MINUTE_S:
                self._dropped += 1
                return
            self._sent_at_s.append(now_s)
            event = json.loads(line)
            fields = ", ".join(
                f"{name}={value}" for name, value in event.items() if name not in ("severity", "message")
            )
            body: dict[str, Any] = {
                "text": f"{event['severity']} {event['message']}: {fields}",
                "event": event,
                "dropped_before": self._dropped,
            }
            self._dropped = 0
            thread = threading.Thread(target=self._send, args=(body,), daemon=True)
            self._running = [one for one in self._running if one.is_alive()] + [thread]
        thread.start()

    def finish(self, within_s: float = TIMEOUT_S) -> None:
        """Wait for what is under way, together no longer than this."""
        give_up_at_s = time.monotonic() + within_s
        for thread in self._running:
            thread.join(max(0.0, give_up_at_s - time.monotonic()))

    def _send(self, body: dict[str, Any]) -> None:
        try:
            with requests.Session() as session:
                session.trust_env = False
                answer = session.post(self._url, json=body, timeout=TIMEOUT_S, allow_redirects=False)
        except requests.RequestException as error:
            # A warning only: an error would come back here. The message would tell the address, which is a secret.
            log.warning("webhook_failed", reason=type(error).__name__)
            return
        if answer.status_code >= 300:
            log.warning("webhook_failed", reason=f"it answered {answer.status_code}")
