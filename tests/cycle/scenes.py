"""The crowded cycles: each scene is a moment in which one cycle exits, enters, protects and books at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import count
from pathlib import Path

from tests.cycle import market, new_york
from tests.cycle.stand import Stand, standing
from venue.recording import Recording, load

DAY, HOUR, QUARTER = timedelta(days=1), timedelta(hours=1), timedelta(minutes=15)

Sent = Mapping[tuple[str, str], int]
"""How many orders of each symbol and side reach the venue; of several contracts, underlying and open or close."""

OPENING = ("buy", "open")


@dataclass(frozen=True)
class Scene:
    """What a cycle meets and must do. `eve`: when the venue starts; `prepare` leads up to `at`, the cycle itself.

    `without`: what may be sent instead when a read that begins with this name is lost; a cycle with less to see does
    less and is no failure, and the activities after the orders change none of them. `later`: the sound cycles, by
    module and moment, after which books and ledger agree.
    """

    name: str
    write_recording: Callable[[Path], Path]
    eve: datetime
    prepare: Callable[[Stand], None]
    at: datetime
    intended: Sent
    without: Mapping[str, tuple[Sent, ...]]
    later: tuple[tuple[str, datetime], ...]
    environ: Mapping[str, str] = field(default_factory=dict)

    @property
    def cycle_id(self) -> str:
        return f"{self.name}_cycle-{self.at:%Y-%m-%dT%H:%M:%SZ}"

    @property
    def exits(self) -> Sent:
        """What must be sent however late the cycle gets to it; entries expire."""
        return {each: n for each, n in self.intended.items() if each[1] not in OPENING}

    def allowed(self, call: str) -> tuple[Sent, ...]:
        """What may be sent when the answer to this call is lost."""
        return next((sent for name, sent in self.without.items() if call.startswith(name)), (self.intended,))


@dataclass(frozen=True)
class Stage:
    """A scene that is ready: its recording, and venue and store as they stand at its moment. `folder`: for copies."""

    scene: Scene
    recording: Recording
    prepared: Path
    folder: Path
    numbers: Iterator[int] = field(default_factory=count)

    @contextmanager
    def stand(self, *, shorting: bool = False) -> Iterator[Stand]:
        """A fresh stand at the scene's moment; `shorting`: the account may sell short."""
        folder = self.folder / str(next(self.numbers))
        with standing(
            self.recording,
            self.scene.eve,
            folder,
            copied_from=self.prepared,
            environ=self.scene.environ,
            shorting=shorting,
        ) as stand:
            yield stand

    def assert_equal_books(self, stand: Stand) -> None:
        """After the sound cycles books and ledger agree, and every share and part of one has one stop at the broker.

        On its day nothing was sent twice, not to replace a protection that stood either.
        """
        for module, at in self.scene.later:
            stand.live(module, at)
        assert stand.differences() == []
        assert stand.unprotected() == []
        assert set(stand.orders_sent_after(self.scene.at, DAY).values()) <= {1}


def staged(scene: Scene, folder: Path) -> Stage:
    """The scene with everything before its moment done."""
    recording = load(str(scene.write_recording(folder / "recording")))
    with standing(recording, scene.eve, folder / "prepared", environ=scene.environ) as stand:
        scene.prepare(stand)
        stand.advance_to(scene.at)
    return Stage(scene, recording, folder / "prepared", folder / "copies")


def _buy_btc(stand: Stand) -> None:
    stand.live("crypto", market.ENTRY_OF_BTC)


def _hold_two_stocks(stand: Stand) -> None:
    """Options and KO by hand, the brackets of AAPL and MSFT, and a cycle that books what they filled."""
    stand.trade_by_hand("KO", "buy", "2.5")
    stand.advance_to(new_york.EVE)
    _trade_options_by_hand(stand)
    stand.live("stocks", new_york.EVE + timedelta(minutes=10))
    stand.live("stocks", new_york.EVE + timedelta(minutes=25))


def _hold_an_iron_condor(stand: Stand) -> None:
    _trade_options_by_hand(stand)
    stand.live("options", new_york.EVE + timedelta(minutes=10))


def _trade_options_by_hand(stand: Stand) -> None:
    """A put and a call that were there before us, so the books begin with them; nobody closes them in time."""
    stand.trade_by_hand(new_york.DELIVERED, "sell", "1")
    stand.trade_by_hand(new_york.EXPIRED, "buy", "1")


_SELL_BTC: Sent = {("BTC/USD", "sell"): 1}
CRYPTO = Scene(
    name="crypto",
    write_recording=market.write_recording,
    eve=market.ENTRY_OF_BTC - DAY,
    prepare=_buy_btc,
    at=market.EXIT_OF_BTC,
    intended={**_SELL_BTC, ("ETH/USD", "buy"): 1},
    without={"data.": (_SELL_BTC,), "blobs.": (_SELL_BTC,), "broker.activities": (_SELL_BTC,)},
    later=tuple(("crypto", market.EXIT_OF_BTC + days * DAY) for days in (1, 2, 3)),
)
"""An exit, an entry, and yesterday's fill and fees to book."""

MONITOR = replace(CRYPTO, name="monitor", intended=_SELL_BTC, without={})
"""The same moment with every entry schedule paused: the position monitor exits alone."""

_PROTECT_AMZN: Sent = {("AMZN", "sell"): 1}
_PROTECTIONS: Sent = {**_PROTECT_AMZN, ("KO", "sell"): 1}
_STOCK_EXITS: Sent = {("AAPL", "sell"): 1, **_PROTECTIONS}
STOCKS = Scene(
    name="stocks",
    write_recording=new_york.write_recording,
    eve=new_york.EVE - QUARTER,
    prepare=_hold_two_stocks,
    at=new_york.MONDAY,
    intended={**_STOCK_EXITS, ("NVDA", "buy"): 1},
    # The peak behind a trailing stop is known from the bars alone, which bars are whole from the calendar, and that KO
    # is divisible from the assets.
    without={
        "data.": (_PROTECTIONS,),
        "blobs.": (_STOCK_EXITS,),
        "broker.assets": ({("AAPL", "sell"): 1, **_PROTECT_AMZN},),
        "broker.sessions": (_PROTECTIONS,),
        "broker.activities": (_STOCK_EXITS,),
    },
    later=(("stocks", new_york.MONDAY + HOUR), ("stocks", new_york.MONDAY + HOUR + 2 * QUARTER)),
    environ={"STOCK_SYMBOLS": "AAPL,MSFT,NVDA,KO"},
)
"""A bracket to open, a sale for which resting orders are canceled first, shares of an assignment to protect, the day's
stop of half a share to place again; to book: a stop that filled and canceled its target, an assignment with its shares,
an expiry."""

_CLOSE_GOOGL: Sent = {("GOOGL", "close"): 1}

OPTIONS = Scene(
    name="options",
    write_recording=new_york.write_recording,
    eve=new_york.EVE,
    prepare=_hold_an_iron_condor,
    at=new_york.MONDAY,
    intended={**_CLOSE_GOOGL, ("TSLA", "open"): 1},
    without={
        "data.": (_CLOSE_GOOGL,),
        "blobs.": (_CLOSE_GOOGL,),
        "broker.assets": (_CLOSE_GOOGL,),
        "broker.sessions": (_CLOSE_GOOGL,),
        "broker.activities": (_CLOSE_GOOGL, {**_CLOSE_GOOGL, ("TSLA", "open"): 1}),
        "options.contracts": (_CLOSE_GOOGL,),
        "options.": (_CLOSE_GOOGL, {**_CLOSE_GOOGL, ("TSLA", "open"): 1}),
    },
    later=(
        ("options", new_york.MONDAY + HOUR),
        ("stocks", new_york.MONDAY + HOUR + QUARTER),
        ("stocks", new_york.MONDAY + HOUR + 2 * QUARTER),
    ),
    environ={"STOCK_SYMBOLS": "NVDA", "OPTION_UNDERLYINGS": "AMZN,GOOGL,TSLA", "STOCKS_TRADING": "false"},
)
"""Four contracts to open together and four to close; an assignment and an expiry to book, whose shares the stocks
module then protects."""

SCENES = (CRYPTO, STOCKS, OPTIONS, MONITOR)
