"""A titled table of a report, in words, before it is rendered anywhere."""

from __future__ import annotations

import re
from dataclasses import dataclass

WORDS = "in its own words"
"""How the heading of a column of sentences ends."""

FACTS = ("", "value")
"""The columns of a plain list of figures, which is shown without a heading."""


WORD_BREAK = re.compile(r"(?<=[a-z])_(?=[a-z])")


def plain_words(text: str) -> str:
    """A receipt's words as a person writes them: `time stop` for `time_stop`; a setting such as MARKET_TIER stays."""
    return WORD_BREAK.sub(" ", text)


@dataclass(frozen=True, slots=True)
class Section:
    """A titled table. `basis`: the n and the dates it rests on. Columns after the first hold numbers, save in prose."""

    title: str
    basis: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    is_prose: bool = False

    def is_number(self, column: int) -> bool:
        """Whether a column is aligned as numbers."""
        return column > 0 and not self.is_prose and not self.columns[column].endswith(WORDS)

    @property
    def has_heading(self) -> bool:
        return self.columns != FACTS
