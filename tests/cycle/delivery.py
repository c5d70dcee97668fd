"""Delivering a cycle as a function instance would, in this process or in one of its own."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from core.app import Instance
from core.cycle.run import run_cycle
from core.cycle.watch import WatchRequest, watch
from core.cycle.world import CycleRequest
from core.errors import CronfolioError, Unsure
from core.settings import load
from tests.cycle.faults import Fault, Killed, harmed


def deliver(environ: Mapping[str, str], cycle_id: str, fault: Fault | None = None) -> str:
    """One delivery on a cold instance; the outcome, or what the caller of the function would learn.

    An id that begins with `monitor` is the position monitor's, which waits for a held account no time here.
    """
    world = replace(Instance(load(environ)).world(), wait=lambda _: None)
    world = world if fault is None else harmed(world, fault)
    module = cycle_id.partition("_")[0]
    try:
        if module == "monitor":
            return str(watch(world, WatchRequest(cycle_id, None))["outcome"])
        return str(run_cycle(world, CycleRequest(cycle_id, module))["outcome"])
    except Killed:
        return "killed"
    except Unsure:
        return "unsure"
    except CronfolioError as error:
        return f"failed: {error}"
