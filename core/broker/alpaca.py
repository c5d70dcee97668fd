"""The Broker port on Alpaca's trading API."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from core.broker import wire
from core.broker.connection import AlpacaConnection
from core.broker.symbols import joined_crypto
from core.errors import BadFacts, BrokerRefused
from core.model.market import Asset, AssetClass, Clock
from core.model.orders import Account, Activities, Order, OrderIntent, Position

ORDERS_PAGE = 500
ACTIVITIES_PAGE = 100
NOT_FOUND, UNPROCESSABLE = 404, 422
ONE_SECOND = timedelta(seconds=1)


class AlpacaBroker:
    """Alpaca's account. Activities carry no asset class; `crypto_symbols` (canonical) tell which are coins."""

    def __init__(self, base_url: str, *, key: str, secret: str, crypto_symbols: Sequence[str]) -> None:
        self._connection = AlpacaConnection(base_url, "v2", key=key, secret=secret)
        self._crypto = {joined_crypto(symbol): symbol for symbol in crypto_symbols}

    @property
    def calls(self) -> Counter[str]:
        return self._connection.calls

    def clock(self) -> Clock:
        return wire.clock(self._connection.get("/clock"))

    def account(self) -> Account:
        return wire.account(self._connection.get("/account"))

    def positions(self) -> tuple[Position, ...]:
        return tuple(wire.position(raw) for raw in _listed(self._connection.get("/positions"), "positions"))

    def orders(self, *, since: datetime) -> tuple[Order, ...]:
        found: dict[str, Order] = {}
        until = None
        while True:
            params = {
                "status": "all",
                "limit": ORDERS_PAGE,
                "direction": "desc",
                "after": _rfc3339(since - ONE_SECOND),
            }
            page = _listed(self._connection.get("/orders", params | ({"until": until} if until else {})), "orders")
            orders = [wire.order(raw) for raw in page]
            fresh = [order for order in orders if order.order_id not in found]
            found |= {order.order_id: order for order in fresh}
            if len(page) < ORDERS_PAGE or not fresh:
                return tuple(found.values())
            until = _rfc3339(orders[-1].submitted_at + ONE_SECOND)

    def order_by_client_id(self, client_order_id: str) -> Order | None:
        try:
            return wire.order(self._connection.get("/orders:by_client_order_id", {"client_order_id": client_order_id}))
        except BrokerRefused as refusal:
            if refusal.status == NOT_FOUND:
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
            if len(page) < ACTIVITIES_PAGE:
                break
            token = page[-1]["id"]
        by_type = {kind: [raw for raw in raws if raw.get("activity_type") == kind] for kind in ("FILL", "CFEE", "FEE")}
        dollar_fees = [raw for raw in by_type["FEE"] if raw.get("symbol") in self._crypto]
        return Activities(
            fills=tuple(wire.fill(raw, self._canonical) for raw in by_type["FILL"]),
            fees=(
                *(wire.coin_fee(raw, self._canonical) for raw in by_type["CFEE"]),
                *(wire.dollar_fee(raw, self._canonical) for raw in dollar_fees),
            ),
        )

    def assets(self, asset_class: AssetClass) -> tuple[Asset, ...]:
        params = {"status": "active", "asset_class": asset_class.value}
        return tuple(wire.asset(raw) for raw in _listed(self._connection.get("/assets", params), "assets"))

    def _canonical(self, symbol: str) -> str:
        return self._crypto.get(joined_crypto(symbol), symbol)


def _listed(raw: Any, what: str) -> list[Any]:
    if not isinstance(raw, list):
        raise BadFacts(f"Alpaca's {what} is no list but {type(raw).__name__}")
    return raw


def _rfc3339(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
