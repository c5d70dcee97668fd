"""A real functions process, killed with SIGKILL while the broker holds its order, and started again."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import pytest
import requests

from cli.processes import free_port
from core.cycle.claim import LEASE_LENGTH
from tests.cycle.conftest import NewStand
from tests.cycle.market import EXIT_OF_BTC
from tests.cycle.stand import Stand

ROOT = Path(__file__).parents[2]
PATIENCE_S = 30.0
SCHEDULED = {"X-CloudScheduler-ScheduleTime": EXIT_OF_BTC.isoformat()}


def until(happened: Callable[[], bool], what: str) -> None:
    """Look again and again, each look being a request, until it is so; fail after a while."""
    give_up_at_s = time.monotonic() + PATIENCE_S
    while not happened():
        if time.monotonic() > give_up_at_s:
            pytest.fail(f"{what} did not happen within {PATIENCE_S:.0f} s")


def answers(url: str) -> bool:
    try:
        requests.get(url, timeout=1)
    except requests.ConnectionError:
        return False
    return True


@contextmanager
def functions_process(stand: Stand) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """`python -m functions` on the stand, and its crypto_cycle's address."""
    port = free_port()
    command = [sys.executable, "-m", "functions", "--port", str(port)]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **stand.environ}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        until(lambda: answers(f"http://127.0.0.1:{port}/"), "the start of the functions")
        yield process, f"http://127.0.0.1:{port}/crypto_cycle"
    finally:
        process.kill()
        process.wait()


def deliver_without_hope(url: str) -> None:
    """A delivery whose process dies under it."""
    try:
        requests.post(url, headers=SCHEDULED, timeout=PATIENCE_S)
    except requests.ConnectionError:
        return


def test_a_process_killed_while_its_order_is_at_the_broker_is_resumed(crowded: NewStand) -> None:
    """I-07: the first order is at the venue, its answer never read, the second never sent."""
    with crowded() as stand:
        stand.fault(method="POST", path="/v2/orders", times=1, action="delay:5")
        with functions_process(stand) as (process, url):
            delivery = threading.Thread(target=deliver_without_hope, args=(url,))
            delivery.start()
            until(lambda: bool(stand.orders_sent_after(EXIT_OF_BTC, timedelta(hours=1))), "the first order")
            process.kill()
            delivery.join(PATIENCE_S)

        with functions_process(stand) as (_, url):
            assert requests.post(url, headers=SCHEDULED, timeout=PATIENCE_S).json()["outcome"] == "busy"
            stand.advance_to(EXIT_OF_BTC + LEASE_LENGTH)
            receipt = requests.post(url, headers=SCHEDULED, timeout=PATIENCE_S).json()

        assert receipt["outcome"] == "done"
        assert receipt["resumed"] is True
        sent = {("BTC/USD", "sell"): 1, ("ETH/USD", "buy"): 1}
        assert stand.orders_sent_after(EXIT_OF_BTC, timedelta(hours=1)) == sent
        stand.live_days(EXIT_OF_BTC, 3)
        assert stand.differences() == []
