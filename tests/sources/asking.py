"""Real clients of vendors, led to a server on this machine: only the address of each is another."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from core.ports import NewsSource
from tests.broker.scripted import Asked, Script, scripted
from tests.builders import AS_OF

NOW = AS_OF
SINCE = NOW - timedelta(hours=48)
AT = NOW - timedelta(hours=1)
KEY = "vendor-key-very-private"
MISSING = "an optional source: pip install -r requirements-sources.txt"

Answer = Callable[[Asked], tuple[int, Any]]


def seconds(at: datetime) -> int:
    return int(at.timestamp())


@contextmanager
def finnhub(answer: Answer) -> Iterator[tuple[NewsSource, Script]]:
    pytest.importorskip("finnhub", reason=MISSING)
    from core.data.finnhub import FinnhubSource

    with scripted(answer) as script:
        yield FinnhubSource(KEY, base_url=f"{script.url}/api/v1"), script


@contextmanager
def alpha_vantage(answer: Answer, pauses: list[float] | None = None) -> Iterator[tuple[NewsSource, Script]]:
    pytest.importorskip("alpha_vantage", reason=MISSING)
    from alpha_vantage.alphavantage import AlphaVantage

    from core.data.alpha_vantage import AlphaVantageSource

    with scripted(answer) as script, pytest.MonkeyPatch.context() as patch:
        patch.setattr(AlphaVantage, "_ALPHA_VANTAGE_API_URL", f"{script.url}/query?")
        yield AlphaVantageSource(KEY, pause=(pauses if pauses is not None else []).append), script


@contextmanager
def yahoo(answer: Answer) -> Iterator[tuple[Any, Script]]:
    """yfinance with its usual backend, whose session sends every host's requests to the script."""
    pytest.importorskip("yfinance", reason=MISSING)
    import yfinance
    from curl_cffi import requests
    from yfinance.data import YfData

    from core.data.yfinance import YahooSource

    def both(asked: Asked) -> tuple[int, Any]:
        return (200, "a-crumb") if asked.path in ("/", "/v1/test/getcrumb") else answer(asked)

    with scripted(both) as script:

        class Led(requests.Session[Any]):
            def request(self, method: Any, url: str, *args: Any, **named: Any) -> Any:
                parts = urlsplit(url)
                led = f"{script.url}{parts.path or '/'}" + (f"?{parts.query}" if parts.query else "")
                return super().request(method, led, *args, **named)

        YfData.cache_get.cache_clear()
        yfinance.cache._TzCacheManager._tz_cache = yfinance.cache._TzCacheDummy()
        with Led(impersonate="chrome") as session:
            yield YahooSource(session), script
