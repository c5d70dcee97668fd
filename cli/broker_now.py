"""What the broker holds at this moment, read and never changed; and our books beside it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from cli.reconcile import CENT, COIN_STEP, Line, Proof, cells
from cli.run import KEYS
from cli.sections import Section
from cli.standing import BOOKS_PATH
from cli.words import count, moment
from core import logs
from core.app import Instance
from core.documents import parsed
from core.errors import CronfolioError
from core.model.market import Clock
from core.model.orders import Account, Order, Position
from core.model.trades import ZERO, Books
from core.ports import Store
from core.settings import load

TITLE = "Our books beside the broker, now"


@dataclass(frozen=True, slots=True)
class BrokerNow:
    """The account, its positions and the orders that may still fill. `unread`: held, and not to be read."""

    clock: Clock
    account: Account
    positions: tuple[Position, ...]
    unread: tuple[str, ...]
    orders: tuple[Order, ...]


def ask_broker(environ: Mapping[str, str], state: str) -> BrokerNow | str:
    """The broker's answer under these settings, or why there is none. `state`: the store of the command, by its name.

    Five or six small requests; nothing is sent that changes anything.
    """
    lacking = [name for name in KEYS if not environ.get(name)]
    if lacking:
        return f"{' and '.join(lacking)} not set"
    # What cannot be read is told on the page.
    logs.configure("CRITICAL")
    try:
        broker = Instance(load({**environ, "CRONFOLIO_STATE": state})).broker
        clock = broker.clock()
        orders = tuple(order for order in broker.orders(since=clock.at) if order.is_open)
        return BrokerNow(clock, broker.account(), broker.positions(), broker.unread_positions(), orders)
    except CronfolioError as error:
        return str(error)


def broker_section(store: Store, now: BrokerNow | str) -> Section:
    """Cash and each position from both sides, and whether they agree to the cent; or why nothing was compared."""
    (stored,) = store.read([BOOKS_PATH])
    books = None if stored is None else parsed(Books, stored)
    if isinstance(now, str):
        return _not_compared(now)
    if books is None:
        return _not_compared("the store holds no books yet")
    if books.account_id != now.account.account_id:
        return _not_compared(f"the keys are of account {now.account.account_id}, the books of {books.account_id}")
    ours: dict[str, Decimal] = {}
    for trade in books.open_trades:
        ours[trade.symbol] = ours.get(trade.symbol, ZERO) + trade.position_quantity
    theirs = {position.symbol: position.quantity for position in now.positions}
    held = tuple(
        Line(
            name, ours.get(name, ZERO), theirs.get(name, ZERO), COIN_STEP, name.partition("/")[0] if "/" in name else ""
        )
        for name in sorted({*ours, *theirs})
    )
    proof = Proof(
        moment(now.clock.at), len(now.orders), (Line("Cash", books.cash_usd, now.account.cash_usd, CENT, "$"), *held)
    )
    notes = [f"Books and broker, {proof.verdict}."]
    if not proof.agrees or now.unread:
        notes.append(
            "A trade by hand, a deposit, a fee that is not posted yet, or a fill that no cycle has settled makes a "
            f"difference; {count(len(books.unsettled), 'order')} of ours are not settled."
        )
        notes += [f"Held and not to be read: {name}." for name in now.unread]
    basis = (
        f"n = {count(len(held), 'position')}, as of {proof.as_of}, with {count(proof.open_orders, 'order')} still open"
    )
    return Section(
        TITLE, basis, ("", "our books", "broker", "difference"), tuple(map(cells, proof.lines)), tuple(notes)
    )


def _not_compared(why: str) -> Section:
    return Section(
        TITLE,
        "n = 0 figures compared",
        ("", "our books", "broker", "difference"),
        (),
        (f"Not compared: {why.rstrip('.')}.",),
    )
