"""The Broker port on Alpaca's trading API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from typing import Any, TypeVar

import msgspec
import structlog

from core.broker import wire, wire_account, wire_activities
from core.broker.connection import AlpacaConnection, decoded
from core.errors import BadFacts, BrokerRefused
from core.model.market import Asset, AssetClass, Clock, TradingSession
from core.model.orders import Account, Activities, Order, OrderIntent, Position

log = structlog.get_logger()

Parsed = TypeVar("Parsed")

ORDERS_PAGE = 500
"""The most there are: protection that has rested for weeks must still be seen."""

ACTIVITIES_PAGE = 100
OPTION_EVENTS = ("OPEXP", "OPASN", "OPEXC")
ACTIVITY_TYPES = ",".join(("FILL", "CFEE", "FEE", *OPTION_EVENTS, "OPTRD"))
NOT_FOUND, UNPROCESSABLE = 404, 422
NO_SUCH_ORDER = (404, 40410000)
ONE_SECOND = timedelta(seconds=1)
MOST_APART = timedelta(seconds=2)
"""Of the time that an answer told and this machine's; where they are further apart the clock itself is asked. No more
than a quote may be ahead of the clock, so that the newest quote is not taken for one of the future."""
WITH_LEGS = frozenset({"bracket", "oco", "oto", "mleg"})


class _Named(msgspec.Struct):
    symbol: str | None = None


_entries = msgspec.json.Decoder(list[msgspec.Raw]).decode
_named = msgspec.json.Decoder(_Named).decode


class AlpacaBroker:
    """Alpaca's account. What is not ours and cannot be read is left out with a warning: it must not stop our exits.

    `own_time`: this machine's, None where the broker lives in another time, such as a venue that replays the past.
    """

    def __init__(self, base_url: str, *, key: str, secret: str, own_time: Callable[[], datetime] | None = None) -> None:
        self._connection = AlpacaConnection(base_url, key=key, secret=secret)
        self._own_time = own_time

    @property
    def calls(self) -> Counter[str]:
        return self._connection.calls

    @property
    def answered_at(self) -> datetime | None:
        told = self._connection.answered_at
        is_odd = told is not None and self._own_time is not None and abs(self._own_time() - told) > MOST_APART
        return None if is_odd else told

    def clock(self) -> Clock:
        return wire_account.clock(self._connection.get("/clock"))

    def account(self) -> Account:
        return wire_account.account(self._connection.get("/account"))

    def positions(self) -> tuple[Position, ...]:
        return _readable(wire_account.position, _listed(self._connection.get("/positions"), "positions"))

    def unread_positions(self) -> tuple[str, ...]:
        return _unreadable(wire_account.position, _listed(self._connection.get("/positions"), "positions"))

    def orders(self, *, since: datetime) -> tuple[Order, ...]:
        found: dict[str, Order] = {}
        until = None
        while True:
            params: dict[str, Any] = {"status": "all", "limit": ORDERS_PAGE, "direction": "desc", "nested": "true"}
            page = _listed(self._connection.get("/orders", params | ({"until": until} if until else {})), "orders")
            orders = _readable(wire.order, page)
            fresh = [order for order in orders if order.order_id not in found]
            found |= {order.order_id: order for order in fresh}
            # Legs may have been counted before they were rolled up under their order.
            count = sum(1 + len(raw.get("legs") or ()) for raw in page)
            if count < ORDERS_PAGE or not fresh or orders[-1].submitted_at < since:
                return tuple(found.values())
            until = _rfc3339(orders[-1].submitted_at + ONE_SECOND)

    def order(self, order_id: str) -> Order:
        return wire.order(self._connection.get(f"/orders/{order_id}", {"nested": "true"}))

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        try:
            raw = self._connection.get("/orders:by_client_order_id", {"client_order_id": client_order_id})
        except BrokerRefused as refusal:
            if (refusal.status, refusal.code) == NO_SUCH_ORDER:
                return None
            raise
        is_whole = not isinstance(raw, dict) or raw.get("order_class") not in WITH_LEGS or raw.get("legs")
        return wire.order(raw) if is_whole else self.order(raw["id"])

    def submit(self, intent: OrderIntent) -> Order:
        return wire.order(self._connection.post("/orders", wire.order_request(intent)))

    def cancel(self, order_id: str) -> None:
        try:
            self._connection.delete(f"/orders/{order_id}")
        except BrokerRefused as refusal:
            if refusal.status not in (NOT_FOUND, UNPROCESSABLE):
                raise

    def activities(self, *, since: datetime) -> Activities:
        raws: list[Any] = []
        token = None
        while True:
            params = {
                "activity_types": ACTIVITY_TYPES,
                "after": _rfc3339(since - ONE_SECOND),
                "direction": "asc",
                "page_size": ACTIVITIES_PAGE,
            }
            page = _listed(
                self._connection.get("/account/activities", params | ({"page_token": token} if token else {})),
                "activities",
            )
            raws += page
            newest = next((raw["id"] for raw in reversed(page) if raw.get("id")), None)
            if len(page) < ACTIVITIES_PAGE or newest in (None, token):
                break
            token = newest

        def read(parse: Callable[[Any], Parsed], *kinds: str) -> tuple[Parsed, ...]:
            return _readable(parse, [raw for raw in raws if raw.get("activity_type") in kinds])

        return Activities(
            fills=read(wire_activities.fill, "FILL"),
            fees=(*read(wire_activities.coin_fee, "CFEE"), *read(wire_activities.dollar_fee, "FEE")),
            option_events=read(wire_activities.option_event, *OPTION_EVENTS),
            deliveries=read(wire_activities.delivery, "OPTRD"),
        )

    def assets(self, asset_class: AssetClass, symbols: Sequence[str]) -> tuple[Asset, ...]:
        """The named assets. All stocks come in one answer of some megabytes, of which only these are decoded."""
        params = {"status": "active", "asset_class": asset_class.value}
        entries = decoded(_entries, self._connection.get_bytes("/v2/assets", params), "assets")
        wanted = [entry for entry in entries if decoded(_named, entry, "assets").symbol in symbols]
        return _readable(wire_account.asset, [msgspec.json.decode(entry) for entry in wanted])

    def sessions(self, first: date, last: date) -> tuple[TradingSession, ...]:
        params = {"start": first.isoformat(), "end": last.isoformat()}
        return tuple(map(wire_account.session, _listed(self._connection.get("/calendar", params), "calendar")))


def _readable(parse: Callable[[Any], Parsed], raws: Sequence[Any]) -> tuple[Parsed, ...]:
    """What can be read of a list. An asset class that we do not know or a field that Alpaca leaves empty may make one
    entry unreadable; the others are still facts, and drift shows what is missing."""
    found = []
    for raw in raws:
        try:
            found.append(parse(raw))
        except BadFacts as error:
            log.warning("entry_left_out", error=str(error))
    return tuple(found)


def _unreadable(parse: Callable[[Any], object], raws: Sequence[Any]) -> tuple[str, ...]:
    reasons = []
    for raw in raws:
        try:
            parse(raw)
        except BadFacts as error:
            reasons.append(f"{raw.get('symbol')}: {error}")
    return tuple(reasons)


def _listed(raw: Any, what: str) -> list[Any]:
    if not isinstance(raw, list) or not all(isinstance(entry, dict) for entry in raw):
        raise BadFacts(f"Alpaca's {what} is no list of objects but {str(raw)[:100]!r}")
    return raw


def _rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
