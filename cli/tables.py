"""Tables for a terminal of any width: sentences and headings wrap between words, and nothing is ever cut off."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text


@dataclass(frozen=True, slots=True)
class PlainTable:
    """A table without lines, which knows how wide the terminal is only when it is drawn.

    The first column is the key; `numbers` says which columns are aligned as numbers. Where even the narrowest form does
    not fit, each row becomes a small list under its key.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: Sequence[bool]
    show_header: bool = True

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = self._table()
        # Measured in a terminal without end, so that the answer is what the table needs and not what it would be given.
        needed = Measurement.get(console, options.update(width=10_000), table).minimum
        yield table if needed <= options.max_width else self._lists()

    def _table(self) -> Table:
        table = _bare(self.show_header)
        for index, (heading, is_number) in enumerate(zip(self.columns, self.numbers, strict=True)):
            cells = [row[index] for row in self.rows]
            width = max((len(cell) for cell in cells), default=0)
            table.add_column(
                _narrow(heading, width) if is_number else heading,
                justify="right" if is_number else "left",
                no_wrap=is_number,
                overflow="fold",
                min_width=width if is_number else _longest_word(cells),
            )
        for row in self.rows:
            table.add_row(*map(Text, row))
        return table

    def _lists(self) -> Table:
        table = _bare(False)
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        for row in self.rows:
            table.add_row(Text(row[0]), "")
            for heading, cell in zip(self.columns[1:], row[1:], strict=True):
                table.add_row(Text(f"  {heading}"), Text(cell))
        return table


def _bare(show_header: bool) -> Table:
    return Table(show_header=show_header, box=None, padding=(0, 3, 0, 0), pad_edge=False, header_style="dim")


def _narrow(heading: str, width: int) -> str:
    """The heading in lines that are no wider than the figures below it, where its words allow that."""
    return "\n".join(textwrap.wrap(heading, max(width, _longest_word([heading])))) if heading else ""


def _longest_word(texts: Sequence[str]) -> int:
    return max((len(word) for text in texts for word in text.split()), default=1)
