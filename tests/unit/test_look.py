"""Looking at the account: what cannot be read costs no exit."""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from core.cycle import universe
from core.cycle.look import BrokerFacts, broker_facts
from core.cycle.run import decision_of
from core.cycle.world import CycleRequest, World
from core.errors import BadFacts, BrokerUnavailable
from core.model.market import Asset, AssetClass, Clock, Timeframe, TradingSession
from core.model.orders import Activities, Order, Position
from core.modules.module import Universe
from tests.builders import AS_OF, BTC, account, books, intent, order, position, record, rising, snapshot
from tests.stock_builders import AAPL, session, stock

CLOCK = Clock(AS_OF, True, None, None)
STOCKS = Universe((AAPL,), AssetClass.STOCK, Timeframe.DAY)


class ScriptedAccount:
    """A broker with one position, whose named answers are errors."""

    def __init__(self, *orders: Order, **errors: Exception) -> None:
        self._orders, self._errors = orders, errors

    def _answer(self, name: str, answer: Any) -> Any:
        if name in self._errors:
            raise self._errors[name]
        return answer

    def orders(self, **_: Any) -> tuple[Order, ...]:
        return self._orders

    def positions(self) -> tuple[Position, ...]:
        return (position(),)

    def order_by_client_id(self, _: str) -> Order | None:
        return cast(Order | None, self._answer("order_by_client_id", None))

    def activities(self, **_: Any) -> Activities:
        return cast(Activities, self._answer("activities", Activities((), ())))

    def assets(self, *_: Any) -> Sequence[Asset]:
        return cast(Sequence[Asset], self._answer("assets", (stock(),)))

    def sessions(self, *_: Any) -> Sequence[TradingSession]:
        return cast(Sequence[TradingSession], self._answer("sessions", (session(),)))


def world(broker: ScriptedAccount) -> World:
    return cast(World, SimpleNamespace(broker=broker))


def test_an_order_of_ours_that_cannot_be_read_leaves_the_others_their_exits() -> None:
    """I-40: it counts as not listed until it can be read."""
    broker = ScriptedAccount(order_by_client_id=BadFacts("the order has no usable symbol"))

    facts = broker_facts(world(broker), CLOCK, account(), books(unsettled=(record(),)))

    assert facts.positions
    assert facts.orders == ()


def test_activities_that_stay_away_are_told_and_leave_the_exits() -> None:
    """I-40: a fill is due, and the books do not have it; why it could not be read is told."""
    broker = ScriptedAccount(order(intent(), "1"), activities=BrokerUnavailable("503 from /account/activities"))

    facts = broker_facts(world(broker), CLOCK, account(), books(unsettled=(record(),)))

    assert (len(facts.positions), facts.activities) == (1, None)
    assert "503 from /account/activities" in facts.unread


@pytest.mark.parametrize(("unread", "bought"), [("", 1), ("fills could not be read: 503", 0)])
def test_nothing_is_bought_while_fills_cannot_be_read(unread: str, bought: int) -> None:
    """I-59: books that lack a fill bear no new risk; exits of the same decision stay."""
    risen = snapshot({BTC: rising()})
    facts = BrokerFacts(CLOCK, risen.account, (), (), None, unread=unread)

    decision = decision_of(facts, risen, CycleRequest("c", "crypto"))

    assert len(decision.intents) == bought
    assert [each.reason for each in decision.refusals if each.rule == "activities"] == ([unread] if unread else [])


def test_activities_that_came_leave_nothing_unread() -> None:
    facts = broker_facts(world(ScriptedAccount(order(intent(), "1"))), CLOCK, account(), books(unsettled=(record(),)))

    assert (facts.activities, facts.unread) == (Activities((), ()), "")


def test_the_list_that_came_serves_where_the_other_stays_away() -> None:
    """I-40: without assets the calendar still tells which bars are whole; half of the lists is never kept."""
    no_answer = BrokerUnavailable("no answer")

    without_assets, kept = universe.read(world(ScriptedAccount(assets=no_answer)), "stocks", STOCKS, "paper", AS_OF)
    without_sessions, _ = universe.read(world(ScriptedAccount(sessions=no_answer)), "stocks", STOCKS, "paper", AS_OF)
    whole, writes = universe.read(world(ScriptedAccount()), "stocks", STOCKS, "paper", AS_OF)

    assert (without_assets.assets, without_assets.sessions, kept) == ((), (session(),), [])
    assert (without_sessions.assets, without_sessions.sessions) == ((stock(),), ())
    assert (whole.assets, whole.sessions, len(writes)) == ((stock(),), (session(),), 1)
