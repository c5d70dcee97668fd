"""Alpaca's market data streams: what became known while the venue's clock went forward, never more.

Each step sends the recorded bars that ended in it, then the days those bars belong to, then one estimated
quote for every symbol whose quote changed; the option feed sends recorded quotes. Order books, late trades
(updatedBars), halts and corrections were not recorded, nor was each trade: a client may subscribe and gets none.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from typing import Any

import numpy as np
from starlette.websockets import WebSocket

from venue.bars import DAILY, Bars, base_bars, visible_bars
from venue.exchange import Exchange
from venue.options.chains import US_OPTION, Chains
from venue.quotes import Quote, quote
from venue.series import CRYPTO, US_EQUITY, Series
from venue.streams import Accepts, Connection, Frames
from venue.wire import from_us

MESSAGES_PER_FRAME = 500
EVERYTHING = "*"
_BARS = ("bars", "updatedBars", "dailyBars")


@dataclass(frozen=True, slots=True)
class Feed:
    """One endpoint: one connection at a time, these channels.

    most_channels: trades and quotes that one client may subscribe to; None is no limit.
    """

    path: str
    asset_class: str
    channels: tuple[str, ...]
    most_channels: int | None = None


_STOCK_CHANNELS = ("trades", "quotes", *_BARS, "statuses", "lulds", "corrections", "cancelErrors")
FEEDS = (
    Feed("/v1beta3/crypto/us", CRYPTO, ("trades", "quotes", "orderbooks", *_BARS)),
    Feed("/v2/iex", US_EQUITY, _STOCK_CHANNELS, most_channels=30),
    Feed("/v2/sip", US_EQUITY, _STOCK_CHANNELS),
    Feed("/v1beta1/indicative", US_OPTION, ("trades", "quotes"), most_channels=200),
    Feed("/v1beta1/opra", US_OPTION, ("trades", "quotes"), most_channels=1000),
)

_ERRORS = {
    400: "invalid syntax",
    401: "not authenticated",
    402: "auth failed",
    403: "already authenticated",
    404: "auth timeout",
    405: "symbol limit exceeded",
    406: "connection limit exceeded",
    407: "slow client",
    410: "invalid subscribe action for this feed",
    412: "option messages are only available in MsgPack format",
    413: "star subscription is not allowed for option quotes",
}


class DataConnection(Connection):
    """`auth` by message or by the headers of the HTTP API, then `subscribe` and `unsubscribe`."""

    def __init__(
        self,
        socket: WebSocket,
        exchange: Exchange,
        accepts: Accepts,
        feed: Feed,
        in_use: set[Feed],
        given: tuple[str, str] | None,
    ) -> None:
        """given: key and secret from the headers, if any; in_use: the feeds that have their one client."""
        super().__init__(socket, exchange, accepts)
        self.feed = feed
        self._in_use = in_use
        self._given = given
        # replaced as a whole, so that a step keeps the subscription it was made for
        self._wanted: dict[str, frozenset[str]] = dict.fromkeys(feed.channels, frozenset())

    def greet(self) -> None:
        if self.feed.asset_class == US_OPTION and not self.is_msgpack:
            self.end_with(_error(412))
            return
        self.offer([[{"T": "success", "msg": "connected"}]])
        if self._given is not None:
            self._authenticate(*self._given)

    def take(self, message: dict[str, Any] | None) -> None:
        """Answers auth, subscribe and unsubscribe, or Alpaca's error."""
        match message:
            case {"action": "auth", "key": str(key), "secret": str(secret)}:
                self._authenticate(key, secret)
            case {"action": "subscribe" | "unsubscribe" as action, **channels}:
                self._subscribe(channels, is_adding=action == "subscribe")
            case _:
                self.offer(_error(400))

    def leave(self) -> None:
        if self._on_clock in self.exchange.clock_watchers:
            self.exchange.clock_watchers.remove(self._on_clock)
            self._in_use.discard(self.feed)

    def farewell(self, code: int) -> Frames:
        return _error(code)

    def _authenticate(self, key: str, secret: str) -> None:
        if self.is_authenticated.is_set():
            self.offer(_error(403))
        elif not self.accepts(key, secret):
            self.offer(_error(402))
        elif self.feed in self._in_use:
            self.offer(_error(406))
        else:
            self._in_use.add(self.feed)
            self.exchange.clock_watchers.append(self._on_clock)
            self.is_authenticated.set()
            self.offer([[{"T": "success", "msg": "authenticated"}]])

    def _subscribe(self, channels: Mapping[Any, Any], *, is_adding: bool) -> None:
        if not self.is_authenticated.is_set():
            self.offer(_error(401))
        elif not all(_is_names(names) for names in channels.values()):
            self.offer(_error(400))
        elif not set(channels) <= set(self.feed.channels):
            self.offer(_error(410))
        elif self.feed.asset_class == US_OPTION and is_adding and EVERYTHING in channels.get("quotes", ()):
            self.offer(_error(413))
        else:
            changed = {
                channel: self._wanted[channel] | set(names) if is_adding else self._wanted[channel] - set(names)
                for channel, names in channels.items()
            }
            wanted = self._wanted | changed
            if "corrections" in wanted:
                # Alpaca adds these two to every trades subscription
                wanted |= {"corrections": wanted["trades"], "cancelErrors": wanted["trades"]}
            self._change_to(wanted)

    def _change_to(self, wanted: dict[str, frozenset[str]]) -> None:
        limit = self.feed.most_channels
        if limit is not None and sum(self._count(wanted[channel]) for channel in ("trades", "quotes")) > limit:
            self.offer(_error(405))
            return
        self._wanted = wanted
        self.exchange.count_request(f"SUBSCRIBE {self.feed.path}")
        names = {channel: sorted(symbols) for channel, symbols in wanted.items()}
        self.offer([[{"T": "subscription", **names}]])

    def _count(self, names: frozenset[str]) -> int:
        return len(self._series(names)) if EVERYTHING in names else len(names)

    def _series(self, names: frozenset[str]) -> list[Series]:
        every = (one for one in self.exchange.recording.series.values() if one.asset_class == self.feed.asset_class)
        return [one for one in every if EVERYTHING in names or one.symbol in names]

    def _on_clock(self, from_us_: int, until_us: int) -> None:
        """A step (from, until] of the clock; its messages are made when their turn to be sent comes."""
        if any(self._wanted.values()):
            self.offer(_frames(self._step(self._wanted, from_us_, until_us)))

    def _step(self, wanted: dict[str, frozenset[str]], from_us_: int, until_us: int) -> Iterator[dict[str, Any]]:
        if self.feed.asset_class == US_OPTION:
            return _option_quotes(self.exchange.recording.chains, sorted(wanted["quotes"]), from_us_, until_us)
        return chain(
            _ended_bars(self._series(wanted["bars"]), from_us_, until_us),
            *(_days(series, from_us_, until_us) for series in self._series(wanted["dailyBars"])),
            *(_new_quote(series, from_us_, until_us) for series in self._series(wanted["quotes"])),
        )


def _is_names(names: Any) -> bool:
    return isinstance(names, list) and all(isinstance(name, str) for name in names)


def _error(code: int) -> Frames:
    return [[{"T": "error", "code": code, "msg": _ERRORS[code]}]]


def _frames(messages: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while frame := list(islice(messages, MESSAGES_PER_FRAME)):
        yield frame


def _ended_bars(every: list[Series], from_us_: int, until_us: int) -> Iterator[dict[str, Any]]:
    """The bars that ended in (from, until], all symbols together in the order of their ends."""
    known = {series.symbol: (series, base_bars(series, until_us)) for series in every}
    ended = (
        (int(series.ends_us[row]), series.symbol, row)
        for series in every
        for row in range(series.completed(from_us_), series.completed(until_us))
    )
    for _, symbol, row in sorted(ended):
        yield _bar("b", *known[symbol], row)


def _days(series: Series, from_us_: int, until_us: int) -> Iterator[dict[str, Any]]:
    """The daily bars that the step's bars belong to, as known at its end; the last one may still grow."""
    first = series.completed(from_us_)
    if first == series.completed(until_us):
        return
    days = visible_bars(series, DAILY, until_us)
    begun = int(np.searchsorted(days.starts_us, series.starts_us[first], "right")) - 1
    for row in range(begun, len(days)):
        yield _bar("d", series, days, row)


def _new_quote(series: Series, from_us_: int, until_us: int) -> Iterator[dict[str, Any]]:
    estimated = quote(series, until_us)
    if estimated is not None and estimated != quote(series, from_us_):
        yield _quote(series, estimated)


def _bar(kind: str, series: Series, bars: Bars, row: int) -> dict[str, Any]:
    """n and vw were not recorded and are 0, as in the HTTP API."""
    volume = float(bars.volumes[row])
    return {
        "T": kind, "S": series.symbol, "t": from_us(bars.starts_us[row]),
        "o": float(bars.opens[row]), "h": float(bars.highs[row]),
        "l": float(bars.lows[row]), "c": float(bars.closes[row]),
        "v": volume if series.asset_class == CRYPTO else int(volume), "n": 0, "vw": 0,
    }  # fmt: skip


def _quote(series: Series, estimated: Quote) -> dict[str, Any]:
    """Sizes and exchanges were not recorded: 0 and empty, as in the HTTP API."""
    message = {
        "T": "q", "S": series.symbol, "t": from_us(estimated.at_us),
        "bp": float(estimated.bid), "bs": 0, "ap": float(estimated.ask), "as": 0,
    }  # fmt: skip
    return message if series.asset_class == CRYPTO else message | {"bx": "", "ax": "", "c": [], "z": "C"}


def _option_quotes(chains: Chains, symbols: list[str], from_us_: int, until_us: int) -> Iterator[dict[str, Any]]:
    """The latest quote of each contract that was recorded in (from, until], at the moment of its recording."""
    for symbol in symbols:
        found = chains.find(symbol, until_us)
        if found is None or found[0].as_of_us <= from_us_:
            continue
        recorded, row = found
        bid, ask = float(recorded.bids[row]), float(recorded.asks[row])
        if not (math.isnan(bid) or math.isnan(ask)):
            yield {
                "T": "q", "S": symbol, "t": from_us(recorded.as_of_us), "c": "",
                "bp": bid, "bs": 0, "bx": "", "ap": ask, "as": 0, "ax": "",
            }  # fmt: skip
