"""What `firebase deploy` finds: one function a job. Importing this does no I/O and needs no credentials."""

from __future__ import annotations

from typing import Any

from firebase_functions import https_fn, options
from flask import Request, Response
from parameters import ALPACA_KEYS

import cycle_http
from core.schedules import REGION

AS_A_CYCLE: dict[str, Any] = {
    "region": REGION,
    "memory": options.MemoryOption.MB_512,
    "timeout_sec": 120,
    "max_instances": 1,
    "concurrency": 1,
    "invoker": "private",
    "secrets": ALPACA_KEYS,
}


@https_fn.on_request(**AS_A_CYCLE)
def crypto_cycle(request: Request) -> Response:
    """One cycle of the crypto module, every five minutes."""
    return cycle_http.cycle_response(request, job="crypto_cycle", module="crypto")


@https_fn.on_request(**AS_A_CYCLE)
def stocks_cycle(request: Request) -> Response:
    """One cycle of the stocks module, every five minutes of the New York session."""
    return cycle_http.cycle_response(request, job="stocks_cycle", module="stocks")


@https_fn.on_request(**AS_A_CYCLE)
def options_cycle(request: Request) -> Response:
    """One cycle of the options module, every fifteen minutes of the New York session."""
    return cycle_http.cycle_response(request, job="options_cycle", module="options")
