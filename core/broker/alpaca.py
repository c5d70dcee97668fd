"""The Broker port on Alpaca's trading API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeVar

import structlog

from core.broker import wire
from core.broker.connection import AlpacaConnection
from core.errors import BadFacts, BrokerRefused
from core.model.market import Asset, AssetClass, Clock
from core.model.orders import Account, Activities, Order, OrderIntent, Position

log = structlog.get_logger()

Parsed = TypeVar("Parsed")

ORDERS_PAGE = 100
ACTIVITIES_PAGE = 100
NOT_FOUND, UNPROCESSABLE = 404, 422
NO_SUCH_ORDER = (404, 40410000)
ONE_SECOND = timedelta(seconds=1)


class AlpacaBroker:
    """Alpaca's account. What is not ours and cannot be read is left out with a warning: it must not stop our exits."""

    def __init__(self, base_url: str, *, key: str, secret: str) -> None:
        self._connection = AlpacaConnection(base_url, "v2", key=key, secret=secret)

    @property
    def calls(self) -> Counter[str]:
        return self._connection.calls

    def clock(self) -> Clock:
        return wire.clock(self._connection.get("/clock"))

    def account(self) -> Account:
        return wire.account(self._connection.get("/account"))

    def positions(self) -> tuple[Position, ...]:
        return _readable(wire.position, _listed(self._connection.get("/positions"), "positions"))

    def orders(self, *, since: datetime) -> tuple[Order, ...]:
        found: dict[str, Order] = {}
        until = None
        while True:
            params: dict[str, Any] = {"status": "all", "limit": ORDERS_PAGE, "direction": "desc"}
            page = _listed(self._connection.get("/orders", params | ({"until": until} if until else {})), "orders")
            orders = _readable(wire.order, page)
            fresh = [order for order in orders if order.order_id not in found]
            found |= {order.order_id: order for order in fresh}
            if len(page) < ORDERS_PAGE or not fresh or orders[-1].submitted_at < since:
                return tuple(found.values())
            until = _rfc3339(orders[-1].submitted_at + ONE_SECOND)

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        try:
            return wire.order(self._connection.get("/orders:by_client_order_id", {"client_order_id": client_order_id}))
        except BrokerRefused as refusal:
            if (refusal.status, refusal.code) == NO_SUCH_ORDER:
                return None
            raise

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
                "activity_types": "FILL,CFEE,FEE",
                "after": _rfc3339(since - ONE_SECOND),
                "direction": "asc",
                "page_size": ACTIVITIES_PAGE,
            }
            page = _listed(
                self._connection.get("/account/activities", params | ({"page_token": token} if token else {})),
                "activities",
            )
            raws += page
            if len(page) < ACTIVITIES_PAGE or page[-1]["id"] == token:
                break
            token = page[-1]["id"]
        by_type = {kind: [raw for raw in raws if raw.get("activity_type") == kind] for kind in ("FILL", "CFEE", "FEE")}
        return Activities(
            fills=_readable(wire.fill, by_type["FILL"]),
            fees=(*_readable(wire.coin_fee, by_type["CFEE"]), *_readable(wire.dollar_fee, by_type["FEE"])),
        )

    def assets(self, asset_class: AssetClass, symbols: Sequence[str]) -> tuple[Asset, ...]:
        params = {"status": "active", "asset_class": asset_class.value}
        raws = _listed(self._connection.get("/assets", params), "assets")
        return _readable(wire.asset, [raw for raw in raws if raw.get("symbol") in symbols])


def _readable(parse: Callable[[Any], Parsed], raws: Sequence[Any]) -> tuple[Parsed, ...]:
    """What can be read of a list. Another asset class, an order of several legs or a field that Alpaca leaves empty
    may make one entry unreadable; the others are still facts, and drift shows what is missing."""
    found = []
    for raw in raws:
        try:
            found.append(parse(raw))
        except BadFacts as error:
            log.warning("entry_left_out", error=str(error))
    return tuple(found)


def _listed(raw: Any, what: str) -> list[Any]:
    if not isinstance(raw, list):
        raise BadFacts(f"Alpaca's {what} is no list but {type(raw).__name__}")
    return raw


def _rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
