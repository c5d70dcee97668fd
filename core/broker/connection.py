"""One connection to Alpaca: alpaca-py's client with our own time-outs, retry policy and errors that say what to do."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol, TypeVar

import msgspec
from alpaca.common.exceptions import APIError
from alpaca.common.rest import RESTClient
from requests import RequestException, Response, Session
from requests.adapters import HTTPAdapter
from urllib3.util.retry import Retry

from core.errors import BadFacts, BrokerRefused, BrokerUnavailable

API_VERSION = "v2"
"""Of the trading API; market data has versions of its own, which its paths name."""

CONNECT_TIMEOUT_S = 3.05
READ_TIMEOUT_S = 10.0

BODY_CHUNK_BYTES = 1 << 20
"""By itself requests takes a body in pieces of ten kilobytes, which costs a page of bars as much as decoding it."""

RETRY_READS = Retry(
    total=2,
    backoff_factor=0.3,
    status_forcelist=(429, 500, 502, 503, 504),
    allowed_methods=frozenset({"GET"}),
    raise_on_status=False,
    respect_retry_after_header=False,
)
"""Only GET is repeated here, and soon: the broker may ask for a longer pause than a function lives. An order is
repeated by the executor alone, under the same client order id."""


class Page(Protocol):
    """An answer that may go on: its token asks for the next page."""

    next_page_token: str | None


PageT = TypeVar("PageT", bound=Page)
Decoded = TypeVar("Decoded")


class AlpacaConnection:
    """Requests to one of Alpaca's hosts. `calls` counts them by method and path; `answered_at` is the host's own time,
    in whole seconds, of the last answer, None where that told none.

    alpaca-py has no time-out and repeats POST on 429 and 504; both are replaced on its session and switched off here.
    """

    def __init__(self, base_url: str, *, key: str, secret: str) -> None:
        self._client = RESTClient(base_url, key, secret, api_version=API_VERSION, raw_data=True)
        self._client._retry = 0
        self._client._session = self._session = timed_session()
        self._session.hooks["response"].append(self._note_time)
        self._headers = {"APCA-API-KEY-ID": key, "APCA-API-SECRET-KEY": secret}
        self._base_url = base_url
        self.calls: Counter[str] = Counter()
        self.answered_at: datetime | None = None

    def get(self, path: str, params: Mapping[str, Any] | None = None) -> Any:
        return self._answer("GET", path, params)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._answer("POST", path, body)

    def delete(self, path: str) -> None:
        self._answer("DELETE", path, None)

    def get_bytes(self, path: str, params: Mapping[str, Any]) -> bytes:
        """The undecoded body, for answers too large to pass through Python objects; `path` begins with the version."""
        self._count("GET", path)
        try:
            response = self._session.get(
                self._base_url + path, params=dict(params), headers=self._headers, allow_redirects=False, stream=True
            )
            body = b"".join(response.iter_content(BODY_CHUNK_BYTES))
        except RequestException as error:
            raise BrokerUnavailable(f"GET {path} got no answer: {type(error).__name__}; try again") from error
        if response.status_code != 200:
            raise _failure("GET", path, response.status_code, body.decode(errors="replace"))
        return body

    def pages(
        self, path: str, params: Mapping[str, Any], decode: Callable[[bytes], PageT], what: str
    ) -> Iterator[PageT]:
        """Every page of an answer; `BadFacts` if one points to itself."""
        token: str | None = None
        while True:
            page = decoded(decode, self.get_bytes(path, {**params, **({"page_token": token} if token else {})}), what)
            yield page
            if not page.next_page_token:
                return
            if page.next_page_token == token:
                raise BadFacts(f"Alpaca's {what} repeat page {token}; the rest cannot be read")
            token = page.next_page_token

    def _answer(self, method: str, path: str, data: Mapping[str, Any] | None) -> Any:
        self._count(method, f"/{API_VERSION}{path}")
        try:
            return self._client._request(method, path, None if data is None else dict(data))
        except APIError as error:
            raise _failure(method, path, error.status_code or 0, str(error)) from error
        except RequestException as error:
            raise BrokerUnavailable(f"{method} {path} got no answer: {type(error).__name__}") from error

    def _note_time(self, response: Response, **_: Any) -> None:
        self.answered_at = _told_time(response.headers)

    def _count(self, method: str, path: str) -> None:
        self.calls[f"{method} {path}"] += 1


def decoded(decode: Callable[[bytes], Decoded], body: bytes, what: str) -> Decoded:
    """A body in the shape we expect; `BadFacts` for any other."""
    try:
        return decode(body)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise BadFacts(f"Alpaca's {what} do not have the expected shape: {error}") from error


class _TimedAdapter(HTTPAdapter):
    """Gives every request a time-out; `requests` has none of its own."""

    def send(self, request: Any, **kwargs: Any) -> Response:  # type: ignore[override]
        kwargs["timeout"] = (CONNECT_TIMEOUT_S, READ_TIMEOUT_S)
        return super().send(request, **kwargs)


def timed_session() -> Session:
    """A session whose every request has a time-out, and whose reads are repeated."""
    session = Session()
    session.trust_env = False
    for scheme in ("https://", "http://"):
        session.mount(scheme, _TimedAdapter(max_retries=RETRY_READS))
    return session


def _told_time(headers: Mapping[str, str]) -> datetime | None:
    """The time at which an answer was made, by its `Date` header: RFC 9110, 6.6.1. One that a cache kept, as `Age`
    says, tells nothing of now."""
    if "Age" in headers or "Date" not in headers:
        return None
    try:
        told = parsedate_to_datetime(headers["Date"])
        return None if told.tzinfo is None else told.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _failure(method: str, path: str, status: int, text: str) -> BrokerUnavailable | BrokerRefused:
    """429 and 5xx leave us unsure; anything else is the broker's no."""
    try:
        body = json.loads(text)
    except ValueError:
        body = {}
    code, message = (body.get("code"), body.get("message")) if isinstance(body, dict) else (None, None)
    summary = f"{method} {path} answered {status}: {message or text[:200]}"
    if status == 429 or status >= 500 or status == 0:
        return BrokerUnavailable(summary)
    return BrokerRefused(summary, status=status, code=code if isinstance(code, int) else None)
