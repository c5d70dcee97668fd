"""The HTTP face: routes, keys, rate limits, faults, and one request at a time over one exchange."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from email.utils import format_datetime
from enum import StrEnum

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from venue import control_api, data_api, trading_api
from venue.call import Call
from venue.exchange import Exchange
from venue.faults import Fault
from venue.options import data_api as option_data_api
from venue.streams import ABORT_KEY
from venue.streams_data import FEEDS, DataConnection, Feed
from venue.streams_trading import TradingConnection
from venue.wire import MINUTE_US, ApiError, json_response

Handler = Callable[[Call], Response]
Endpoint = Callable[[Request], Awaitable[Response]]


class Access(StrEnum):
    """Who may call a group of routes, and which allowance it draws on."""

    TRADING = "trading"
    STOCK_DATA = "stock data"
    OPTION_DATA = "option data"
    CRYPTO_DATA = "crypto data"
    CONTROL = "control"


_GROUPS: tuple[tuple[Access, tuple[tuple[str, str, Handler], ...]], ...] = (
    (Access.CONTROL, control_api.ROUTES),
    (Access.CRYPTO_DATA, data_api.CRYPTO_ROUTES),
    (Access.STOCK_DATA, data_api.STOCK_ROUTES),
    (Access.OPTION_DATA, option_data_api.ROUTES),
    (Access.TRADING, trading_api.ROUTES),
)


@dataclass(frozen=True, slots=True)
class Keys:
    """The one key pair that is accepted."""

    key: str
    secret: str


@dataclass(slots=True)
class Allowance:
    """Requests left in the current minute of venue time; trading and data have one each."""

    per_minute: int
    minute: int = -1
    used: int = 0

    def take(self, now_us: int) -> dict[str, str]:
        """Uses one request and answers the headers; a 429 when none is left."""
        if not self.per_minute:
            return {}
        minute = now_us // MINUTE_US
        if minute != self.minute:
            self.minute, self.used = minute, 0
        headers = {
            "X-RateLimit-Limit": str(self.per_minute),
            "X-RateLimit-Remaining": str(max(self.per_minute - self.used - 1, 0)),
            "X-RateLimit-Reset": str((minute + 1) * 60),
        }
        if self.used >= self.per_minute:
            raise _TooMany(headers)
        self.used += 1
        return headers


class _TooMany(ApiError):
    def __init__(self, headers: dict[str, str]) -> None:
        super().__init__(429, 42910000, "rate limit exceeded")
        self.headers = headers


@dataclass(slots=True)
class _Gate:
    """What every request passes before its handler."""

    exchange: Exchange
    keys: Keys | None
    trading: Allowance
    data: Allowance = field(init=False)

    def __post_init__(self) -> None:
        self.data = Allowance(self.trading.per_minute)

    def enter(self, request: Request, access: Access) -> dict[str, str]:
        """Checks keys and allowance; answers the rate limit headers."""
        if access is Access.CONTROL:
            return {}
        self._check_keys(request, is_needed=access is not Access.CRYPTO_DATA)
        allowance = self.trading if access is Access.TRADING else self.data
        return allowance.take(self.exchange.now_us)

    def _check_keys(self, request: Request, *, is_needed: bool) -> None:
        given = _given_keys(request)
        if given is None and not is_needed:
            return
        if given is None or not self.accepts(given.key, given.secret):
            raise ApiError(401, 40110000, "request is not authorized: API key or secret missing or wrong")

    def accepts(self, key: str, secret: str) -> bool:
        """Whether this key pair may trade and read here: any at all, unless one is demanded."""
        return bool(key and secret) and self.keys in (None, Keys(key, secret))


def _given_keys(connection: HTTPConnection) -> Keys | None:
    headers = connection.headers
    if "apca-api-key-id" in headers or "apca-api-secret-key" in headers:
        return Keys(headers.get("apca-api-key-id", ""), headers.get("apca-api-secret-key", ""))
    scheme, _, encoded = headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        key, _, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return Keys("", "")
    return Keys(key, secret)


def create_app(exchange: Exchange, *, keys: Keys | None = None) -> Starlette:
    """Alpaca's trading and data APIs and the venue's own routes over this exchange.

    Handlers do not await, so requests take their turns: each sees and leaves a whole state.
    """
    gate = _Gate(exchange, keys, Allowance(exchange.rate_limit))
    by_path: dict[str, dict[str, Endpoint]] = {}
    for access, routes in _GROUPS:
        for method, path, handler in routes:
            by_path.setdefault(path, {})[method] = _endpoint(gate, access, method, path, handler)
    return Starlette(
        routes=[
            *(Route(path, _dispatch(methods), methods=list(methods)) for path, methods in by_path.items()),
            *_stream_routes(gate),
        ],
        exception_handlers={HTTPException: _http_error, 500: _internal_error},
    )


def _stream_routes(gate: _Gate) -> list[WebSocketRoute]:
    in_use: set[Feed] = set()

    async def trading(socket: WebSocket) -> None:
        await TradingConnection(socket, gate.exchange, gate.accepts).serve()

    def data(feed: Feed) -> Callable[[WebSocket], Awaitable[None]]:
        async def serve(socket: WebSocket) -> None:
            keys = _given_keys(socket)
            given = (keys.key, keys.secret) if keys else None
            await DataConnection(socket, gate.exchange, gate.accepts, feed, in_use, given).serve()

        return serve

    feeds = [WebSocketRoute(feed.path, data(feed)) for feed in FEEDS]
    return [WebSocketRoute("/stream", trading), *feeds]


def _dispatch(
    methods: dict[str, Endpoint],
) -> Endpoint:
    async def dispatch(request: Request) -> Response:
        return await methods["GET" if request.method == "HEAD" else request.method](request)

    return dispatch


def _endpoint(gate: _Gate, access: Access, method: str, path: str, handler: Handler) -> Endpoint:
    exchange = gate.exchange

    async def endpoint(request: Request) -> Response:
        raw_body = await request.body()
        fault: Fault | None = None
        headers: dict[str, str] = {}
        try:
            if access is not Access.CONTROL:
                exchange.count_request(f"{method} {path.replace(':path}', '}')}")
            headers = gate.enter(request, access)
            if access is not Access.CONTROL:
                fault = exchange.use_fault(method, request.url.path)
            response = _broken(fault) or handler(
                Call(exchange, request.path_params, request.query_params, raw_body, fault)
            )
        except ApiError as refusal:
            response = json_response(refusal.body, refusal.status)
            headers = refusal.headers if isinstance(refusal, _TooMany) else headers
        finally:
            exchange.commit()
        response.headers.update(headers | {"Date": format_datetime(exchange.now, usegmt=True)})
        if fault is not None:
            await _spoil(fault, request)
        return response

    return endpoint


def _broken(fault: Fault | None) -> Response | None:
    """The answer of a fault that comes instead of the work."""
    if fault is None or fault.kind not in ("status", "reject"):
        return None
    code = int(fault.value) if fault.kind == "reject" else int(fault.value) * 100_000
    status = code // 100_000
    return json_response({"code": code, "message": f"fault asked for: {fault.action}"}, status)


async def _spoil(fault: Fault, request: Request) -> None:
    """What a fault does after the work: a late answer, or a connection that dies without one."""
    if fault.kind == "delay":
        await asyncio.sleep(float(fault.value))
    elif fault.kind == "drop_after_accept":
        if ABORT_KEY not in request.scope:
            raise RuntimeError("drop_after_accept needs a connection to kill: serve the app with venue.serve")
        await request.scope[ABORT_KEY]()


async def _internal_error(request: Request, error: Exception) -> Response:
    """A fault of the venue itself, in the form clients expect; the server still logs the traceback."""
    return json_response({"code": 50010000, "message": f"internal error: {type(error).__name__}"}, 500)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        message = f"{request.method} is not allowed on {request.url.path}"
    else:
        message = f"{request.url.path} is not served by this venue"
    body = {"code": error.status_code * 100_000 + 10_000, "message": message}
    return json_response(body, error.status_code, dict(error.headers or {}))
