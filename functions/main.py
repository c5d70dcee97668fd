"""What `firebase deploy` finds: one function a job. Importing this does no I/O and needs no credentials."""

from __future__ import annotations

import gc
from typing import Any

# What is imported stays for the life of an instance. Searched for garbage again and again while it grows, it would take
# a tenth longer to start; frozen below, no later search looks at it either.
gc.disable()

from firebase_functions import https_fn, options
from flask import Request, Response
from parameters import ALPACA_KEYS, OPENAI_KEY

import cycle_http
from core.schedules import REGION

AS_A_CYCLE: dict[str, Any] = {
    "region": REGION,
    "memory": options.MemoryOption.MB_512,
    "timeout_sec": 120,
    "max_instances": 1,
    "concurrency": 1,
    "invoker": "private",
    "service_account": "cronfolio-runtime@",
    "secrets": ALPACA_KEYS,
}


@https_fn.on_request(**AS_A_CYCLE)
def crypto_cycle(request: Request) -> Response:
    """One cycle of the crypto module, every five minutes."""
    return cycle_http.response(request, "crypto_cycle")


@https_fn.on_request(**AS_A_CYCLE)
def stocks_cycle(request: Request) -> Response:
    """One cycle of the stocks module, every five minutes of the New York session."""
    return cycle_http.response(request, "stocks_cycle")


@https_fn.on_request(**AS_A_CYCLE)
def options_cycle(request: Request) -> Response:
    """One cycle of the options module, every fifteen minutes of the New York session."""
    return cycle_http.response(request, "options_cycle")


@https_fn.on_request(**AS_A_CYCLE)
def position_monitor(request: Request) -> Response:
    """Every minute: exits of what is held, and nothing else."""
    return cycle_http.response(request, "position_monitor")


@https_fn.on_request(**{**AS_A_CYCLE, "timeout_sec": 300, "secrets": [*ALPACA_KEYS, OPENAI_KEY]})
def intelligence(request: Request) -> Response:
    """Every six hours: the market's facts, and an adviser's opinions on them where there is one."""
    return cycle_http.response(request, "intelligence")


@https_fn.on_request(**{**AS_A_CYCLE, "memory": options.MemoryOption.GB_2, "timeout_sec": 540})
def learn(request: Request) -> Response:
    """Once a night: train on history and own trades, promote what earns it, demote what drifts."""
    return cycle_http.response(request, "learn")


@https_fn.on_request(**AS_A_CYCLE)
def weekly_report(request: Request) -> Response:
    """Once a week: what the week came to, stored for a person to read."""
    return cycle_http.response(request, "weekly_report")


@https_fn.on_request(**AS_A_CYCLE)
def ops(request: Request) -> Response:
    """Health, figures and records to read; halt, resume, reset and emergency for a person."""
    # Imported on its first request, as no cycle should wait for it.
    import ops_http

    return ops_http.ops_response(request)


@https_fn.on_request(**AS_A_CYCLE)
def api_canary(request: Request) -> Response:
    """Once a weekday: what the broker answers beyond what it has published."""
    return cycle_http.response(request, "api_canary")


gc.freeze()
gc.enable()
