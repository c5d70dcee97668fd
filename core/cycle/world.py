"""What a cycle is asked to do and what it may touch, handed in by the composition root."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from core.model.market import AssetClass
from core.ports import Blobs, Broker, MarketData, OptionData, QuoteStream, Store
from core.settings import Settings


@dataclass(frozen=True, slots=True)
class CycleRequest:
    """`cycle_id` is the same for every delivery of one scheduled run. `exits_only`: nothing is opened or looked for."""

    cycle_id: str
    module: str
    dry_run: bool = False
    exits_only: bool = False


@dataclass(frozen=True, slots=True)
class World:
    """The ports and the few facts of this instance. `elapsed_s` is monotonic; `wait` pauses for that many seconds.

    `open_stream` begins to listen to quotes of these symbols by asset class.
    """

    store: Store
    blobs: Blobs
    broker: Broker
    data: MarketData
    options: OptionData
    open_stream: Callable[[Mapping[AssetClass, Sequence[str]]], QuoteStream]
    settings: Settings
    owner: str
    elapsed_s: Callable[[], float]
    wait: Callable[[float], None]
    timings_ms: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Add the time spent inside to the stage's total."""
        started_s = self.elapsed_s()
        yield
        self.timings_ms[stage] = self.timings_ms.get(stage, 0.0) + (self.elapsed_s() - started_s) * 1000
