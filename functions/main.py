"""What `firebase deploy` finds: one function a job. Importing this does no I/O and needs no credentials."""

from __future__ import annotations

from firebase_functions import https_fn, options, params
from flask import Request, Response

import cycle_http

ALPACA_KEYS = [params.SecretParam("ALPACA_PAPER_API_KEY"), params.SecretParam("ALPACA_PAPER_SECRET_KEY")]


@https_fn.on_request(
    region="us-east4",
    memory=options.MemoryOption.MB_512,
    timeout_sec=120,
    max_instances=1,
    concurrency=1,
    invoker="private",
    secrets=ALPACA_KEYS,
)
def crypto_cycle(request: Request) -> Response:
    """One cycle of the crypto module, every five minutes."""
    return cycle_http.cycle_response(request, job="crypto_cycle", module="crypto")
