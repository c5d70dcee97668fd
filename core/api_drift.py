"""What the broker answers against what it has published: unknown fields and values are named, and nothing fails."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import structlog

from core.broker.connection import AlpacaConnection
from core.errors import BadFacts, BrokerRefused, BrokerUnavailable
from core.settings import Settings

log = structlog.get_logger()

KNOWN_FILE = Path(__file__).with_name("api_known.json")
"""For each path the published shape: an object's fields by name, `*` for any name, a list of texts for an enumeration,
null for anything. `python -m tests.broker.known` writes it from Alpaca's documents, its client and what we parse."""

PRINTABLE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
"""What may be printed of an answer: a name. Anything else might be a number of the account's."""
UNPRINTABLE = "(no plain name)"

TRADING, DATA = "trading", "data"
WEEK = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Probe:
    """One request, to the trading or the data host."""

    host: str
    path: str
    params: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """What one path answered that is not published, or in `unread` why it gave no answer."""

    path: str
    fields: tuple[str, ...] = ()
    values: tuple[str, ...] = ()
    unread: str = ""


def probes(settings: Settings, today: date) -> tuple[Probe, ...]:
    """One small request for each kind of answer that cycles read."""
    stock, coin = {"symbols": "SPY", "feed": settings.alpaca_data_feed}, {"symbols": "BTC/USD"}
    bars = {"timeframe": "1Day", "start": (today - WEEK).isoformat(), "limit": 10}
    return (
        Probe(TRADING, "/v2/clock", {}),
        Probe(TRADING, "/v2/account", {}),
        Probe(TRADING, "/v2/positions", {}),
        Probe(TRADING, "/v2/orders", {"status": "all", "limit": 500, "nested": "true"}),
        Probe(TRADING, "/v2/account/activities", {"page_size": 100}),
        Probe(TRADING, "/v2/calendar", {"start": today.isoformat(), "end": (today + WEEK).isoformat()}),
        Probe(TRADING, "/v2/assets", {"status": "active", "asset_class": "crypto"}),
        Probe(TRADING, "/v2/options/contracts", {"underlying_symbols": "SPY", "limit": 10}),
        Probe(DATA, "/v1beta3/crypto/us/snapshots", coin),
        Probe(DATA, "/v1beta3/crypto/us/bars", coin | bars),
        Probe(DATA, "/v2/stocks/snapshots", stock),
        Probe(DATA, "/v2/stocks/bars", stock | bars),
        Probe(DATA, "/v1beta1/options/snapshots/SPY", {"feed": settings.alpaca_options_feed, "limit": 10}),
    )


def api_drift(settings: Settings, today: date) -> tuple[Found, ...]:
    """Ask each of the probes and compare; every path that drifted or was not read is logged."""
    urls = {TRADING: settings.alpaca_base_url, DATA: settings.alpaca_data_url}
    connections = {host: AlpacaConnection(url, **settings.alpaca_keys) for host, url in urls.items()}
    found = tuple(_probed(connections[probe.host], probe) for probe in probes(settings, today))
    for one in found:
        if one.unread:
            log.warning("api_unread", path=one.path, reason=one.unread)
        elif one.fields or one.values:
            log.warning("api_drift", path=one.path, fields=one.fields, values=one.values)
    log.info("api_compared", paths=len(found), drifted=sum(bool(one.fields or one.values) for one in found))
    return found


def compared(path: str, answer: Any) -> Found:
    """The names in `answer` that are not published for this path."""
    seen = sorted(set(_unknown(answer, _known()[path], "")))
    fields = tuple(name for kind, name in seen if kind == "field")
    return Found(path, fields, tuple(name for kind, name in seen if kind == "value"))


def _probed(connection: AlpacaConnection, probe: Probe) -> Found:
    try:
        return compared(probe.path, msgspec.json.decode(connection.get_bytes(probe.path, probe.params)))
    except (BrokerUnavailable, BrokerRefused, BadFacts, msgspec.DecodeError) as error:
        return Found(probe.path, unread=str(error))


def _unknown(answer: Any, known: Any, at: str) -> Iterator[tuple[str, str]]:
    """(field or value, its dotted name), for everything beyond `known`."""
    if isinstance(answer, list):
        for entry in answer:
            yield from _unknown(entry, known, at)
    elif isinstance(answer, dict) and isinstance(known, dict):
        for name, value in answer.items():
            if name in known or "*" in known:
                shown = name if name in known else "*"
                yield from _unknown(value, known[shown], f"{at}{shown}.")
            else:
                yield "field", f"{at}{name if PRINTABLE.fullmatch(name) else UNPRINTABLE}"
    elif isinstance(answer, str) and answer and isinstance(known, list) and answer not in known:
        yield "value", f"{at.removesuffix('.')}={answer if PRINTABLE.fullmatch(answer) else UNPRINTABLE}"


@cache
def _known() -> dict[str, Any]:
    return dict(json.loads(KNOWN_FILE.read_text()))
