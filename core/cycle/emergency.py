"""Emergency: cancel every order, close every position, in every mode, with the store or without it.

The broker is read back until it agrees. Each order's id follows from account, day, symbol and what the broker has of
it already, and its size from what the broker says is available: a second run, or two at once, sell nothing twice.
"""

from __future__ import annotations

from dataclasses import dataclass

import structlog

from core.cycle.emergency_books import PAUSE_S, EmergencyBooks
from core.cycle.emergency_plan import ClosingPlan, Holdings, closing_plan, is_emergency_order, name_of
from core.cycle.look import HISTORY, BrokerFacts, broker_facts
from core.cycle.world import World
from core.errors import BadFacts, BrokerRefused, BrokerUnavailable, CronfolioError, LeaseLost, Unsure
from core.execution.executor import act
from core.execution.follow import follow_order
from core.model.market import Asset, AssetClass, Clock
from core.model.orders import Account, Order, OrderStatus, Position
from core.model.trades import OrderRecord
from core.units import text

log = structlog.get_logger()

FLIGHT_S = 14.0
"""Longer than an order may be on its way to the broker (13 s): what a run sent just before it lost the account."""
MOST_ROUNDS = 200
"""More than patience and any account's orders need; a bound, so that nothing goes round for ever."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """What a person wants done. `closes`: positions too. `patience_s`: what cancels, fills and the lease may take."""

    closes: bool
    reason: str
    by: str
    force: bool = False
    patience_s: float = 20.0


@dataclass(frozen=True, slots=True)
class Exposed:
    """What there is to cancel and to close. `unread`: what the broker lists as held and cannot be read, and why."""

    clock: Clock
    orders: tuple[Order, ...]
    positions: tuple[Position, ...]
    unread: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What the broker says afterwards. `left`: each position still held, with its quantity where that can be read, why,
    and what to do."""

    canceled: int
    sent: tuple[OrderRecord, ...]
    open_orders: tuple[Order, ...]
    left: tuple[str, ...]
    notes: tuple[str, ...]


def exposed(world: World) -> Exposed:
    clock = world.broker.clock()
    return Exposed(clock, _open_orders(world, clock), world.broker.positions(), world.broker.unread_positions())


def carry_out(world: World, told: Instruction) -> Outcome:
    """Do what was ordered and say what the broker holds afterwards. It may be repeated at any time.

    `BadRequest`: somebody else holds the lease. `Unsure`: the broker gave no answer, or the lease was lost; repeat it.
    """
    clock, account = world.broker.clock(), world.broker.account()
    action = "flatten" if told.closes else "cancel"
    books = EmergencyBooks(world, account, clock.at, action=action, reason=told.reason, by=told.by)
    books.open(halts_entries=told.closes, force=told.force, patience_s=told.patience_s)
    try:
        spared = account.account_id if told.closes else None
        canceled = _cancel_all(world, clock, told.patience_s, spared)
        run = _Closing(world, account, books)
        facts, left = run.until_flat(told.patience_s) if told.closes else (run.looked(), ())
        if books.took_over:
            world.wait(FLIGHT_S)
            canceled += _cancel_all(world, clock, told.patience_s, spared)
            facts, left = run.until_flat(told.patience_s) if told.closes else (run.looked(), ())
        open_orders = tuple(order for order in facts.orders if order.is_open)
        if told.closes:
            unread = world.broker.unread_positions()
            left += tuple(f"{each}; close it by hand at the broker" for each in unread)
        books.finish({"outcome": action, "canceled": canceled, "sent": len(run.sent), "left": list(left)})
    except CronfolioError:
        books.release()
        raise
    return Outcome(canceled, tuple(run.sent.values()), open_orders, left, tuple(books.notes))


def _open_orders(world: World, clock: Clock) -> tuple[Order, ...]:
    return tuple(order for order in world.broker.orders(since=clock.at - HISTORY) if order.is_open)


def _cancel_all(world: World, clock: Clock, patience_s: float, spared: str | None) -> int:
    """Cancel whatever is open until the broker lists nothing open, or patience ends; how many cancels it took.

    `spared`: the account whose emergency orders are left to their work; None spares nothing.
    """
    asked: set[str] = set()
    waited_s = 0.0
    while True:
        orders = _open_orders(world, clock)
        still = [
            each
            for order in orders
            if spared is None or not is_emergency_order(order, spared)
            for each in _cancelable(order)
        ]
        new = [order.order_id for order in still if order.order_id not in asked]
        for order_id in new:
            try:
                world.broker.cancel(order_id)
                asked.add(order_id)
            except (BrokerUnavailable, BrokerRefused) as error:
                log.warning("cancel_failed", order_id=order_id, error=str(error))
        if not still or waited_s >= patience_s:
            return len(asked)
        if not asked.issuperset(new) or not new:
            world.wait(PAUSE_S)
            waited_s += PAUSE_S


def _cancelable(order: Order) -> tuple[Order, ...]:
    """The order, whose legs go with it, or the legs that rest behind a filled one."""
    return tuple(leg for leg in order.legs if leg.is_open) if order.status.is_terminal else (order,)


class _Closing:
    """Rounds of looking and sending until nothing is left to send, and nothing at work can be waited for."""

    def __init__(self, world: World, account: Account, books: EmergencyBooks) -> None:
        self.sent: dict[str, OrderRecord] = {}
        self._world, self._account, self._books = world, account, books
        self._refused: dict[str, str] = {}

    def looked(self) -> BrokerFacts:
        facts = broker_facts(self._world, self._world.broker.clock(), self._account, None)
        for order in facts.orders:
            if order.client_order_id in self.sent:
                record = follow_order(self.sent[order.client_order_id], order)
                self.sent[order.client_order_id] = record
                if record.is_over and record.filled_quantity == 0:
                    self._refused[name_of(record.intent)] = f"the broker ended the order, {record.status}, unfilled"
        return facts

    def until_flat(self, patience_s: float) -> tuple[BrokerFacts, tuple[str, ...]]:
        facts, waited_s = self.looked(), 0.0
        assets = self._coins(facts.positions)
        most_usd = self._world.settings.limits.risk.max_order_usd
        for _ in range(MOST_ROUNDS):
            now = Holdings(self._account, facts.orders, facts.positions, assets, facts.as_of, most_usd, self._refused)
            plan = closing_plan(now)
            at_work = [order for symbol in plan.reasons if (order := now.order_at_work(symbol)) is not None]
            if plan.intents:
                self._send(plan, facts)
            elif waited_s < patience_s and any(_can_fill(order.asset_class, facts.clock) for order in at_work):
                self._world.wait(PAUSE_S)
                waited_s += PAUSE_S
            else:
                break
            facts = self.looked()
        return facts, tuple(_told(each, plan, now, facts.clock) for each in facts.positions if each.quantity)

    def _send(self, plan: ClosingPlan, facts: BrokerFacts) -> None:
        """Each order for itself: what the broker refuses, or leaves unanswered, keeps no other waiting."""
        for record in self._books.plan(plan.intents, facts.positions, facts.as_of):
            name = name_of(record.intent)
            try:
                (after,) = act(
                    [record],
                    broker=self._world.broker,
                    known={},
                    resumed=False,
                    guard=self._books.guard,
                    now=lambda: facts.as_of,
                    wait=self._world.wait,
                )
            except LeaseLost:
                raise
            except Unsure as doubt:
                self._refused[name] = str(doubt)
                continue
            if after.status is OrderStatus.REJECTED:
                self._refused[name] = after.note
            self.sent[after.client_order_id] = after
            self._books.sent(after)

    def _coins(self, positions: tuple[Position, ...]) -> dict[str, Asset]:
        """The steps in which coins are sold; without an answer the broker refuses what does not fit."""
        coins = [each.symbol for each in positions if each.asset_class is AssetClass.CRYPTO]
        try:
            assets = self._world.broker.assets(AssetClass.CRYPTO, coins) if coins else ()
        except (BrokerUnavailable, BrokerRefused, BadFacts) as error:
            log.warning("assets_unavailable", error=str(error))
            assets = ()
        return {asset.symbol: asset for asset in assets}


def _can_fill(asset_class: AssetClass, clock: Clock) -> bool:
    return asset_class is AssetClass.CRYPTO or bool(clock.is_open)


def _told(position: Position, plan: ClosingPlan, now: Holdings, clock: Clock) -> str:
    """What is still held, why, and what to do."""
    opens = "until it opens" if clock.next_open is None else f"until {clock.next_open:%Y-%m-%d %H:%M} UTC"
    is_at_work, can_fill = now.order_at_work(position.symbol), _can_fill(position.asset_class, clock)
    if is_at_work:
        step = "look again soon" if can_fill else f"the market is closed {opens}, and it fills then"
        step += "; `cronfolio emergency cancel` takes it back"
    else:
        step = "run this again" + ("" if can_fill else f" then: the market is closed {opens}")
        step += ", or close it by hand at the broker" if can_fill else ""
    return f"{text(position.quantity)} {position.symbol}: {plan.reasons.get(position.symbol, 'not sent')}; {step}"
