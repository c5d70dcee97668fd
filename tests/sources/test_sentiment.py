"""The mood of headlines by words: a labelled fact with its n, and nothing without headlines."""

from __future__ import annotations

from datetime import timedelta

import pytest

from core.intelligence.sentiment import sentiment_facts
from core.model.intelligence import Headline
from tests.sources.asking import AT, MISSING, NOW

SCORES = {"good": 0.5, "bad": -0.4, "odd": float("nan"), "wild": 3.0}


def line(text: str, *symbols: str, hours: float = 0) -> Headline:
    return Headline("wire", AT - timedelta(hours=hours), symbols, text, "", "Finnhub", NOW)


def test_a_symbol_has_the_mean_of_its_headlines_and_their_number() -> None:
    lines = [line("good", "AAPL", "MSFT", hours=3), line("bad", "AAPL")]

    apple, microsoft = sentiment_facts(lines, SCORES.__getitem__)

    assert (apple.symbol, apple.value, apple.n, apple.source, apple.name) == (
        "AAPL",
        0.05,
        2,
        "lexicon",
        "news_sentiment",
    )
    assert (apple.first, apple.as_of, apple.fetched_at) == (AT - timedelta(hours=3), AT, NOW)
    assert (microsoft.symbol, microsoft.value, microsoft.n) == ("MSFT", 0.5, 1)


def test_without_headlines_or_scores_there_is_no_fact() -> None:
    assert list(sentiment_facts([], SCORES.__getitem__)) == []
    assert list(sentiment_facts([line("odd", "AAPL"), line("wild", "AAPL"), line("good")], SCORES.__getitem__)) == []


def test_the_installed_word_list_knows_good_from_bad() -> None:
    pytest.importorskip("vaderSentiment", reason=MISSING)
    from core.app import _lexicon

    lexicon = _lexicon(True)

    assert lexicon("Great quarter, strong profits and happy customers") > 0.5
    assert lexicon("Fraud, bankruptcy and a terrible loss") < -0.5
    assert lexicon("") == 0
