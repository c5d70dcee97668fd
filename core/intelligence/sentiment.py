"""The mood of headlines by a list of words, for runs in which no adviser weighs them; labelled as what it is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import isfinite

from core.model.intelligence import Fact, Headline
from core.ports import Lexicon

LEXICON = "lexicon"
"""The source of these facts."""
SENTIMENT = "news_sentiment"
SCORE = "score from -1 to 1"


def sentiment_facts(headlines: Sequence[Headline], lexicon: Lexicon) -> Iterator[Fact]:
    """Of each symbol the mean score of its headlines, n of them; a symbol without headlines has no fact."""
    for symbol in sorted({symbol for line in headlines for symbol in line.symbols}):
        scored = [(line, lexicon(line.text)) for line in headlines if symbol in line.symbols]
        known = [(line, score) for line, score in scored if isfinite(score) and -1 <= score <= 1]
        if known:
            mean = sum(score for _, score in known) / len(known)
            times = [line.published_at for line, _ in known]
            fetched_at = max((line.fetched_at for line, _ in known if line.fetched_at), default=None)
            yield Fact(
                SENTIMENT,
                round(mean, 4),
                SCORE,
                len(known),
                min(times),
                max(times),
                LEXICON,
                symbol=symbol,
                fetched_at=fetched_at,
            )
