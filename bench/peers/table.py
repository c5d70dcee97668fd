"""The peers: what each is, when its orders fill, and what it is held to."""

from __future__ import annotations

from dataclasses import dataclass

PORTFOLIO, SCARCE, SERIES = "portfolio", "scarce", "series"


@dataclass(frozen=True)
class Peer:
    """`fill_at`: the fills of ours that it is compared with. `faster`: how many times faster ours is to be on the
    portfolio. `rule`: what it does in its own way. `compiles`: its first run compiles and is left out.
    `days_fill_at_decided_open`: at the open before ours. `n_cents`: what a fill's fee is rounded to. `is_exact`: it is
    compared with scarce cash as well."""

    name: str
    module: str
    pins: tuple[str, ...]
    fill_at: str = "next_open"
    faster: float | None = None
    rule: str = ""
    python: str = "3.11"
    compiles: bool = False
    days_fill_at_decided_open: bool = False
    n_cents: int = 0
    is_exact: bool = False

    @property
    def n_rounds(self) -> int:
        return 4 if self.compiles else 3


PEERS = (
    Peer("backtrader", "with_backtrader", ("backtrader==1.9.78.123", "numpy==2.4.6"), faster=40, is_exact=True),
    Peer(
        "backtesting.py",
        "with_backtesting",
        ("backtesting==0.6.6", "numpy==2.4.6", "pandas==3.1.1"),
        faster=5,
        rule="trades one symbol: 50 accounts, their profits added",
    ),
    Peer(
        "bt",
        "with_bt",
        ("bt==1.4.1", "numpy==2.4.6", "pandas==3.1.1"),
        fill_at="same_close",
        faster=1,
        rule="fills at the close of the signal",
    ),
    Peer(
        "vectorbt",
        "with_vectorbt",
        ("vectorbt==1.2.0", "numba==0.68.1", "numpy==2.4.6", "pandas==3.1.1"),
        faster=0.2,
        rule="warm, its first run compiles",
        compiles=True,
    ),
    Peer(
        "nautilus_trader",
        "with_nautilus",
        # on pandas 3 it cannot read its own columns: "buffer source array is read-only"
        ("nautilus_trader==1.231.0", "numpy==2.5.5", "pandas==2.3.3"),
        fill_at="same_close",
        faster=5,
        rule="fills at the close of the signal, fees in whole cents",
        python="3.12",
        n_cents=1,
    ),
    Peer(
        "zipline-reloaded",
        "with_zipline",
        ("zipline-reloaded==3.2.1", "numpy==2.4.6", "pandas==2.3.3"),
        fill_at="next_close",
        rule="fills at the next close",
    ),
    Peer(
        "lumibot",
        "with_lumibot",
        ("lumibot==4.6.30", "numpy==2.4.6", "pandas==2.3.3"),
        rule="its days fill at the open of the bar decided on, which looks ahead; its minutes at the next open",
        days_fill_at_decided_open=True,
    ),
)
