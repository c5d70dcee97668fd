"""Features: what the indicators say, one named column each, aligned with the bars they come from."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite

from core.model.bars import FloatArray

SCORE, PROBABILITY, BAR_HOURS = "score", "model_probability", "bar_hours"
"""Beside the indicators an entry keeps, under these names, its strategy's score, what the model in force said, and the
length of the bars that both rest on."""


@dataclass(frozen=True, slots=True, eq=False)
class Features:
    """Named (n_symbols, n_bars) float64 arrays; NaN while warming up or where a fact is missing."""

    symbols: tuple[str, ...]
    columns: dict[str, FloatArray]

    def __getitem__(self, name: str) -> FloatArray:
        return self.columns[name]

    def latest(self, symbol: str) -> dict[str, float]:
        """The newest value of each feature of one symbol that is available; empty for an unknown symbol."""
        n_bars = next((values.shape[1] for values in self.columns.values()), 0)
        if symbol not in self.symbols or not n_bars:
            return {}
        row = self.symbols.index(symbol)
        columns = self.columns.items()
        return {name: value for name, values in columns if isfinite(value := values.item(row, -1))}
