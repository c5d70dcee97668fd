"""How an account stands now, in a few reads: the mode in force, the last finished cycle, what is open."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from core.control import MODE_PATH, mode_of
from core.documents import parsed
from core.model.judgement import ModeState
from core.model.trades import Books, OrderRecord, Trade
from core.ports import Document, Store
from core.reporting.history import CycleFacts, cycle_facts

BOOKS_PATH = "books/current"
LOOK_BACK_CYCLES = 100
"""Cycles that did not finish are rare; behind this many of them nobody should look for a finished one."""


@dataclass(frozen=True, slots=True)
class Standing:
    """`last`: the newest finished cycle; `unfinished`: ids of newer ones that began and did not finish."""

    mode: ModeState
    last: CycleFacts | None
    unfinished: tuple[str, ...]
    open_trades: tuple[Trade, ...]
    unsettled: tuple[OrderRecord, ...]


def read_standing(store: Store, as_of: datetime) -> Standing:
    """The account as its store has it; the mode is what a cycle at `as_of` would find."""
    mode, stored_books = store.read([MODE_PATH, BOOKS_PATH])
    books = None if stored_books is None else parsed(Books, stored_books)
    unfinished: list[str] = []
    last = None
    for document in store.recent("cycles", order_by="started_at", limit=LOOK_BACK_CYCLES):
        last = cycle_facts(document)
        if last is not None:
            break
        if document.data.get("state") != "done":
            unfinished.append(str(document.data.get("cycle_id", document.path)))
    return Standing(
        mode=_mode(mode, stored_books, as_of),
        last=last,
        unfinished=tuple(unfinished),
        open_trades=() if books is None else books.open_trades,
        unsettled=() if books is None else books.unsettled,
    )


def mode_in_force(store: Store, as_of: datetime) -> ModeState:
    """The mode that a cycle at this moment would find."""
    mode, books = store.read([MODE_PATH, BOOKS_PATH])
    return _mode(mode, books, as_of)


def _mode(mode: Document | None, books: Document | None, as_of: datetime) -> ModeState:
    return mode_of(mode, is_first_run=mode is None and books is None, as_of=as_of)
