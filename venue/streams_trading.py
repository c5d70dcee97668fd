"""Alpaca's trading stream at /stream: every change of an order, as it happens on the exchange."""

from __future__ import annotations

from typing import Any

from starlette.websockets import WebSocket

from venue import views
from venue.exchange import Exchange
from venue.orders import ZERO, Order, Status, venue_id
from venue.streams import Accepts, Connection
from venue.wire import plain, rfc3339

TRADE_UPDATES = "trade_updates"
# an event is named as the status it leads to, but for these two
_FILLS = {Status.FILLED: "fill", Status.PARTIALLY_FILLED: "partial_fill"}


class TradingConnection(Connection):
    """`authenticate`, then `listen`; JSON goes out in binary frames, as Alpaca's paper account sends it."""

    is_json_binary = True

    def __init__(self, socket: WebSocket, exchange: Exchange, accepts: Accepts) -> None:
        super().__init__(socket, exchange, accepts)
        self._is_listening = False

    def greet(self) -> None:
        """Nothing: Alpaca's trading stream waits to be spoken to."""

    def take(self, message: dict[str, Any] | None) -> None:
        """Answers authenticate and listen; Alpaca documents no answer to anything else."""
        if message is None:
            self.end_with(())
            return
        data = message.get("data")
        fields = data if isinstance(data, dict) else {}
        match message.get("action"):
            case "authenticate":
                self._authenticate(fields.get("key_id"), fields.get("secret_key"))
            case "listen" if self.is_authenticated.is_set():
                self._listen(fields.get("streams"))
            case "listen":
                self.offer([_authorization("unauthorized", "listen")])
            case _:
                self.end_with(())

    def leave(self) -> None:
        self._set_listening(False)

    def _authenticate(self, key: Any, secret: Any) -> None:
        is_known = isinstance(key, str) and isinstance(secret, str) and self.accepts(key, secret)
        if is_known:
            self.is_authenticated.set()
        self.offer([_authorization("authorized" if is_known else "unauthorized", "authenticate")])

    def _listen(self, streams: Any) -> None:
        """Each listen names all the streams wanted, so one without trade_updates stops them."""
        is_wanted = isinstance(streams, list) and TRADE_UPDATES in streams
        self._set_listening(is_wanted)
        self.offer([{"stream": "listening", "data": {"streams": [TRADE_UPDATES] if is_wanted else []}}])

    def _set_listening(self, is_wanted: bool) -> None:
        if is_wanted and not self._is_listening:
            self.exchange.order_watchers.append(self._on_order)
        elif self._is_listening and not is_wanted:
            self.exchange.order_watchers.remove(self._on_order)
        self._is_listening = is_wanted

    def _on_order(self, before: Order | None, order: Order) -> None:
        update = trade_update(self.exchange, before, order)
        if update is not None:
            self.offer([{"stream": TRADE_UPDATES, "data": update}])


def _authorization(status: str, action: str) -> dict[str, Any]:
    return {"stream": "authorization", "data": {"status": status, "action": action}}


def trade_update(exchange: Exchange, before: Order | None, order: Order) -> dict[str, Any] | None:
    """The event of an order's change, as of that moment; None for a change that Alpaca does not report.

    price, qty and position_qty belong to fills: this execution's, and the holding after it.
    """
    filled_qty = order.filled_qty - (before.filled_qty if before else ZERO)
    is_fill = filled_qty > ZERO
    if before is not None and order.status is before.status and not is_fill:
        return None
    event = _FILLS.get(order.status, str(order.status)) if is_fill else str(order.status)
    update: dict[str, Any] = {
        "event": event,
        "execution_id": venue_id(f"execution {order.order_id} {event} {order.filled_qty}"),
        "order": views.order(order),
        "timestamp": rfc3339(order.updated_at),
    }
    if not is_fill:
        return update
    filled_usd = order.filled_usd - (before.filled_usd if before else ZERO)
    fills = exchange.books.fills
    if fills and fills[-1].order_id == order.order_id:
        # the same id as the execution's activity
        update["execution_id"] = fills[-1].fill_id
    return update | {
        "price": plain(round(filled_usd / filled_qty, 9)),
        "qty": plain(filled_qty),
        "position_qty": plain(exchange.books.held_qty(order.symbol)),
    }
