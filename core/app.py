"""The composition root: the only place that knows adapters. It builds them lazily, once per instance."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from functools import cache, cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from core.broker.alpaca import AlpacaBroker
from core.cycle.world import World
from core.data.alpaca import AlpacaData
from core.data.options import AlpacaOptions
from core.data.warm import WarmMarket
from core.settings import Settings, load

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import SecretStr

    from core.model.market import AssetClass
    from core.ports import Adviser, Blobs, Lexicon, NewsSource, Outside, QuoteStream, Store

Made = TypeVar("Made")


class Instance:
    """The adapters of one warm instance."""

    def __init__(self, settings: Settings) -> None:
        keys = settings.alpaca_keys
        self.settings = settings
        self.store = open_store(settings.cronfolio_state, project=settings.google_cloud_project)
        self.blobs = open_blobs(settings.cronfolio_blobs, beside=settings.cronfolio_state)
        own_time = None if settings.is_on_this_machine else lambda: datetime.now(UTC)
        self.broker = AlpacaBroker(settings.alpaca_base_url, **keys, own_time=own_time)
        self.alpaca_data = AlpacaData(settings.alpaca_data_url, **keys, feed=settings.alpaca_data_feed)
        self.data = WarmMarket(self.alpaca_data)
        self.options = AlpacaOptions(
            settings.alpaca_data_url, settings.alpaca_base_url, **keys, feed=settings.alpaca_options_feed
        )

    def world(self) -> World:
        """The ports for one run, under an owner name of its own."""
        return World(
            store=self.store,
            blobs=self.blobs,
            broker=self.broker,
            data=self.data,
            options=self.options,
            open_stream=self.open_stream,
            settings=self.settings,
            owner=f"{self.settings.k_revision}-{uuid4().hex[:12]}",
            elapsed_s=time.monotonic,
            wait=time.sleep,
        )

    def adviser(self) -> Adviser | None:
        """Who is asked for opinions; nobody without OPENAI_API_KEY. Only who asks pays for the import."""
        if self.settings.openai_api_key is None:
            return None
        from core.intelligence.openai import OpenAIAdviser

        return OpenAIAdviser(self.settings, self.store, elapsed_s=time.monotonic)

    @cached_property
    def outside(self) -> Outside:
        """What an intelligence run may hear beyond Alpaca's market data, limited over the life of the instance.

        Each source needs its library, and a key or a switch; one that is absent says why in the run's report.
        """
        from core.data.news import ALPACA, AlpacaNews, JoinedNews, Limited
        from core.ports import Outside

        settings = self.settings
        lexicon = _optional(_lexicon, settings, "")
        finnhub = _optional(_finnhub, settings.finnhub_api_key, "FINNHUB_API_KEY")
        alpha_vantage = _optional(_alpha_vantage, settings.alpha_vantage_api_key, "ALPHA_VANTAGE_API_KEY")
        yahoo = _optional(_yahoo, settings.yahoo_data or None, "YAHOO_DATA")
        limited = {
            ALPACA: Limited(AlpacaNews(settings.alpaca_data_url, **settings.alpaca_keys)),
            "Finnhub": Limited(finnhub, most_calls=4),
            "Alpha Vantage": Limited(alpha_vantage, most_calls=4, within=timedelta(days=1)),
            "Yahoo": Limited(yahoo, most_calls=8),
        }
        found = {"Finnhub": finnhub, "Alpha Vantage": alpha_vantage, "Yahoo": yahoo, "lexicon": lexicon}
        absent = {name: each for name, each in found.items() if isinstance(each, str)}
        news = {name: each for name, each in limited.items() if name not in absent}
        return Outside(
            news=JoinedNews(news, absent),
            spare_bars=news.get("Yahoo"),
            lexicon=None if isinstance(lexicon, str) else lexicon,
        )

    def open_stream(self, symbols: Mapping[AssetClass, Sequence[str]]) -> QuoteStream:
        """Live quotes from now on. Only a monitor that listens pays for the import."""
        from core.data.stream import AlpacaQuotes

        settings = self.settings
        return AlpacaQuotes(
            settings.alpaca_stream_url,
            **settings.alpaca_keys,
            feed=settings.alpaca_data_feed,
            options_feed=settings.alpaca_options_feed,
            symbols=symbols,
        )


@cache
def instance() -> Instance:
    """This process's instance, from its environment."""
    return Instance(load(os.environ))


def open_store(state: str, *, project: str) -> Store:
    """The store that CRONFOLIO_STATE names; `project` is only needed for Firestore."""
    if state == "firestore":
        from core.state.firestore import FirestoreStore

        return FirestoreStore(project)
    from core.state.sqlite import SqliteStore

    return SqliteStore(_sqlite_file(state))


def open_blobs(target: str, *, beside: str) -> Blobs:
    """The blobs of this name; without one those of the embedded store, in a folder next to its file."""
    if target.startswith("gs://"):
        from core.state.cloud_storage import CloudStorageBlobs

        return CloudStorageBlobs(target.removeprefix("gs://"))
    from core.state.folder import FolderBlobs

    if target:
        return FolderBlobs(Path(target.removeprefix("file://")))
    return FolderBlobs(_sqlite_file(beside).with_suffix(".blobs"))


def _sqlite_file(state: str) -> Path:
    """`sqlite:///state.db` is relative to the working directory, `sqlite:////srv/state.db` absolute."""
    return Path(state.removeprefix("sqlite:///"))


def _optional(make: Callable[[Any], Made], given: Any, variable: str) -> Made | str:
    """What an optional library makes of a setting, or why there is nothing."""
    if given is None:
        return f"{variable} is not set"
    try:
        return make(given)
    except ImportError as error:
        package = str(error.name).partition(".")[0]
        return f"the package {package} is not installed; run pip install -r requirements-sources.txt"


def _finnhub(key: SecretStr) -> NewsSource:
    from core.data.finnhub import FinnhubSource

    return FinnhubSource(key.get_secret_value())


def _alpha_vantage(key: SecretStr) -> NewsSource:
    from core.data.alpha_vantage import AlphaVantageSource

    return AlphaVantageSource(key.get_secret_value(), pause=time.sleep)


def _yahoo(_: bool) -> NewsSource:
    from core.data.yfinance import YahooSource

    return YahooSource()


def _lexicon(_: object) -> Lexicon:
    from vaderSentiment.vaderSentiment import SentimentIntensityAnalyzer

    analyzer = SentimentIntensityAnalyzer()
    return lambda text: float(analyzer.polarity_scores(text)["compound"])
