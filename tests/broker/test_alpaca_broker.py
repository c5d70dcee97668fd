"""The broker adapter: what it asks, what it makes of the answers, and what it never does twice."""

from __future__ import annotations

import socket
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from core.broker import connection
from core.broker.alpaca import ACTIVITIES_PAGE, ORDERS_PAGE, AlpacaBroker
from core.data.alpaca import AlpacaData
from core.errors import BadFacts, BrokerRefused, BrokerUnavailable
from core.model.market import AssetClass
from core.model.orders import OrderStatus, Side
from tests.broker.scripted import Asked, scripted
from tests.builders import intent

NOON = datetime(2024, 4, 12, 12, tzinfo=UTC)


def broker(url: str) -> AlpacaBroker:
    return AlpacaBroker(url, key="key", secret="secret")


def order_json(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"order-{number}",
        "client_order_id": f"client-{number}",
        "symbol": "BTC/USD",
        "asset_class": "crypto",
        "side": "buy",
        "type": "limit",
        "status": "new",
        "qty": "0.5",
        "filled_qty": "0",
        "filled_avg_price": None,
        "limit_price": "40000.5",
        "submitted_at": f"{NOON - timedelta(seconds=number):%Y-%m-%dT%H:%M:%S.123456Z}",
    } | changes


def fill_json(number: int) -> dict[str, Any]:
    return {
        "activity_type": "FILL",
        "id": f"{number:04d}::fill",
        "order_id": "order-1",
        "symbol": "BTCUSD",
        "side": "buy",
        "qty": "0.001",
        "price": "40000",
        "transaction_time": "2024-04-12T12:00:00Z",
    }


def always(status: int, body: Any) -> Callable[[Asked], tuple[int, Any]]:
    return lambda _asked: (status, body)


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_read_is_repeated_and_an_order_never(status: int) -> None:
    """I-07: an order is sent once; who is unsure looks it up."""
    with scripted(always(status, {"message": "busy"})) as script:
        with pytest.raises(BrokerUnavailable, match=str(status)):
            broker(script.url).clock()
        reads = len(script.asked)
        with pytest.raises(BrokerUnavailable):
            broker(script.url).submit(intent())

    assert reads == 3
    assert [asked.method for asked in script.asked[reads:]] == ["POST"]


def test_silence_ends_in_a_time_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "READ_TIMEOUT_S", 0.05)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()

        with pytest.raises(BrokerUnavailable, match="no answer"):
            broker(f"http://127.0.0.1:{deaf.getsockname()[1]}").submit(intent())


@pytest.mark.parametrize("body", ["<html>maintenance</html>", '{"id": "order-1", "cli'])
def test_an_answer_that_is_no_json_leaves_an_order_unsure(body: str) -> None:
    with scripted(always(200, body)) as script, pytest.raises(BrokerUnavailable):
        broker(script.url).submit(intent())


def test_a_refusal_carries_status_and_code() -> None:
    refusal = {"code": 40310000, "message": "insufficient balance"}
    with scripted(always(403, refusal)) as script, pytest.raises(BrokerRefused, match="insufficient") as raised:
        broker(script.url).submit(intent())

    assert (raised.value.status, raised.value.code) == (403, 40310000)


def test_an_order_goes_out_as_text_under_our_id() -> None:
    """I-27: exact formats; no float touches a price."""
    wanted = intent(quantity=Decimal("0.123456789"), limit_price=Decimal("40000.50"))
    with scripted(always(200, order_json())) as script:
        broker(script.url).submit(wanted)

    body = script.asked[0].body
    assert body["client_order_id"] == wanted.client_order_id
    assert (body["qty"], body["limit_price"]) == ("0.123456789", "40000.5")


def test_an_unknown_id_is_no_order_and_another_refusal_is_an_error() -> None:
    with scripted(always(404, {"code": 40410000, "message": "order not found"})) as script:
        assert broker(script.url).order_by_client_id("nobody") is None
    with scripted(always(404, "<html>not found</html>")) as script, pytest.raises(BrokerRefused):
        broker(script.url).order_by_client_id("nobody")
    with scripted(always(401, {"message": "unauthorized."})) as script, pytest.raises(BrokerRefused):
        broker(script.url).order_by_client_id("nobody")


def test_a_page_that_is_exactly_full_is_followed_by_another() -> None:
    """A list cut at the page's end would lose an order, and with it a fill."""

    def page(asked: Asked) -> tuple[int, Any]:
        if "until" not in asked.params:
            return 200, [order_json(number) for number in range(ORDERS_PAGE)]
        return 200, [order_json(ORDERS_PAGE - 1), order_json(ORDERS_PAGE)]

    with scripted(page) as script:
        orders = broker(script.url).orders(since=NOON - timedelta(days=1))

    assert len({order.order_id for order in orders}) == len(orders) == ORDERS_PAGE + 1
    assert len(script.asked) == 2


def test_legs_count_towards_a_full_page() -> None:
    """I-45: whether the broker counts orders before or after it rolls up their legs, none is lost."""
    bracket = {"order_class": "bracket", "legs": [order_json(7000, symbol="BTC/USD")]}

    def page(asked: Asked) -> tuple[int, Any]:
        if "until" not in asked.params:
            return 200, [order_json(number) | bracket for number in range(ORDERS_PAGE // 2)]
        return 200, [order_json(ORDERS_PAGE)]

    with scripted(page) as script:
        orders = broker(script.url).orders(since=NOON - timedelta(days=1))

    assert (len(orders), orders[-1].order_id) == (ORDERS_PAGE // 2 + 1, f"order-{ORDERS_PAGE}")
    assert script.asked[0].params["nested"] == "true"


def test_an_order_that_rests_for_days_is_listed_with_the_newest() -> None:
    """I-45: an old order of ours, or a person's, is seen before it gets in the way of an exit."""
    resting = order_json(1, submitted_at="2024-03-01T00:00:00Z")
    with scripted(always(200, [resting])) as script:
        orders = broker(script.url).orders(since=NOON - timedelta(days=1))

    assert [order.order_id for order in orders] == ["order-1"]
    assert "after" not in script.asked[0].params


@pytest.mark.parametrize(
    "foreign",
    [
        order_json(2, asset_class="crypto_perp"),
        order_json(2, symbol=None, side=None, asset_class=None),
        order_json(2, symbol="BTCEUR"),
    ],
)
def test_an_order_that_is_not_ours_and_cannot_be_read_hides_no_other(foreign: dict[str, Any]) -> None:
    """I-38: one strange entry must not stop the exits of everything else."""
    with scripted(always(200, [foreign, order_json(1)])) as script:
        orders = broker(script.url).orders(since=NOON)

    assert [order.order_id for order in orders] == ["order-1"]


def test_a_position_without_a_price_hides_no_other() -> None:
    """I-38: Alpaca leaves prices of unpriced positions empty."""
    sound = {
        "symbol": "BTCUSD",
        "asset_class": "crypto",
        "qty": "1",
        "qty_available": "1",
        "avg_entry_price": "10",
        "market_value": "12",
        "current_price": "12",
    }
    odd = sound | {"symbol": "ETHUSD", "current_price": None, "market_value": None}
    with scripted(always(200, [odd, sound])) as script:
        positions = broker(script.url).positions()

    assert [position.symbol for position in positions] == ["BTC/USD"]


def test_a_redirect_is_not_followed_with_our_keys() -> None:
    """I-64: keys go to the broker's own host only."""
    with scripted(always(302, "")) as script, pytest.raises(BrokerRefused, match="302"):
        AlpacaData(script.url, key="key", secret="secret").snapshots(AssetClass.CRYPTO, ["BTC/USD"])

    assert len(script.asked) == 1


def test_activities_are_read_to_the_last_page() -> None:
    def page(asked: Asked) -> tuple[int, Any]:
        first = 0 if "page_token" not in asked.params else int(asked.params["page_token"][:4]) + 1
        return 200, [fill_json(number) for number in range(first, min(first + ACTIVITIES_PAGE, 150))]

    with scripted(page) as script:
        fills = broker(script.url).activities(since=NOON).fills

    assert [fill.fill_id for fill in fills] == [f"{number:04d}::fill" for number in range(150)]
    assert {fill.symbol for fill in fills} == {"BTCUSD"}


def test_an_activity_without_an_id_hides_none_behind_it() -> None:
    """I-45: the page after it is still read, so that no fill is lost to an entry that nobody can read."""

    def page(asked: Asked) -> tuple[int, Any]:
        first = 0 if "page_token" not in asked.params else int(asked.params["page_token"][:4]) + 1
        entries = [fill_json(number) for number in range(first, min(first + ACTIVITIES_PAGE, 250))]
        return 200, [entry | ({"id": None} if entry["id"][:4] in ("0099", "0198") else {}) for entry in entries]

    with scripted(page) as script:
        fills = broker(script.url).activities(since=NOON).fills

    assert {int(fill.fill_id[:4]) for fill in fills} == set(range(250)) - {99, 198}


def test_fees_in_coins_and_dollars_are_told_apart() -> None:
    fees = [
        {
            "activity_type": "CFEE",
            "id": "1::a",
            "symbol": "BTCUSD",
            "date": "2024-04-12",
            "qty": "-0.00025",
            "net_amount": "0",
        },
        {"activity_type": "FEE", "id": "2::b", "symbol": "ETHUSD", "date": "2024-04-12", "net_amount": "-1.25"},
    ]
    with scripted(always(200, fees)) as script:
        posted = broker(script.url).activities(since=NOON).fees

    assert [(fee.symbol, fee.side, fee.quantity, fee.amount_usd) for fee in posted] == [
        ("BTCUSD", Side.BUY, Decimal("0.00025"), Decimal(0)),
        ("ETHUSD", Side.SELL, Decimal(0), Decimal("1.25")),
    ]


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("pending_new", OrderStatus.ACCEPTED),
        ("done_for_day", OrderStatus.ACCEPTED),
        ("pending_cancel", OrderStatus.ACCEPTED),
        ("replaced", OrderStatus.CANCELED),
        ("a_status_of_tomorrow", OrderStatus.UNKNOWN),
    ],
)
def test_every_status_is_understood_or_counts_as_live(theirs: str, ours: OrderStatus) -> None:
    """I-07: a status we do not know is not taken for an end."""
    with scripted(always(200, order_json(status=theirs))) as script:
        order = broker(script.url).order_by_client_id("client-1")

    assert order is not None
    assert order.status is ours
    assert order.is_open is (ours is not OrderStatus.CANCELED)


@pytest.mark.parametrize("field", ["id", "filled_qty", "side", "submitted_at"])
def test_an_order_without_a_needed_field_is_refused_by_its_name(field: str) -> None:
    raw = {name: value for name, value in order_json().items() if name != field}
    with scripted(always(200, raw)) as script, pytest.raises(BadFacts, match=field):
        broker(script.url).order_by_client_id("client-1")


def test_new_fields_and_missing_old_ones_do_not_matter() -> None:
    """I-47: fields of a rule that no longer exists are neither needed nor read."""
    account = {
        "id": "account-1",
        "status": "ACTIVE",
        "cash": "1000",
        "equity": "1500.5",
        "last_equity": "1400",
        "buying_power": "2000",
        "non_marginable_buying_power": "1000",
        "trading_blocked": False,
        "account_blocked": False,
        "trade_suspended_by_user": False,
        "something_new": {"a": 1},
    }
    with scripted(always(200, account)) as script:
        read = broker(script.url).account()

    assert (read.equity_usd, read.is_trading_allowed) == (Decimal("1500.5"), True)


@pytest.mark.parametrize(
    ("told", "is_allowed"),
    [
        ({"shorting_enabled": False}, False),
        ({"shorting_enabled": True, "user_configurations": {"no_shorting": True}}, False),
        ({"shorting_enabled": True, "user_configurations": None}, True),
        ({"shorting_enabled": True, "user_configurations": {"no_shorting": False}}, True),
        ({"shorting_enabled": "?", "user_configurations": ["?"]}, True),
        ({}, True),
    ],
)
def test_an_account_may_sell_short_unless_alpaca_says_that_it_may_not(told: Any, is_allowed: bool) -> None:
    account = dict.fromkeys(("cash", "equity", "last_equity", "buying_power", "non_marginable_buying_power"), "10")
    flags = dict.fromkeys(("trading_blocked", "account_blocked", "trade_suspended_by_user"), False)
    with scripted(always(200, {"id": "a", "status": "ACTIVE", **account, **flags, **told})) as script:
        assert broker(script.url).account().is_shorting_allowed is is_allowed


def test_a_suspended_account_is_told_in_words() -> None:
    account = dict.fromkeys(("cash", "equity", "last_equity", "buying_power", "non_marginable_buying_power"), "10")
    flags = {"trading_blocked": False, "account_blocked": False, "trade_suspended_by_user": True}
    with scripted(always(200, {"id": "a", "status": "ACTIVE", **account, **flags})) as script:
        read = broker(script.url).account()

    assert not read.is_trading_allowed
    assert "trade_suspended_by_user" in read.restriction


def test_times_are_aware_and_in_utc_whatever_zone_they_come_in() -> None:
    """I-32: one clock."""
    clock = {"timestamp": "2024-07-01T09:30:00.5-04:00", "is_open": True, "next_open": None}
    with scripted(always(200, clock)) as script:
        read = broker(script.url).clock()

    assert read.at == datetime(2024, 7, 1, 13, 30, 0, 500_000, tzinfo=UTC)
    assert read.at.tzinfo is UTC


def test_a_time_without_a_zone_is_refused() -> None:
    """I-32: a naive time is no time."""
    clock = {"timestamp": "2024-07-01T09:30:00", "is_open": True}
    with scripted(always(200, clock)) as script, pytest.raises(BadFacts, match="timestamp"):
        broker(script.url).clock()


def test_secrets_are_in_no_error(capsys: pytest.CaptureFixture[str]) -> None:
    """I-64: keys are sent as headers and shown nowhere."""
    client = AlpacaBroker("http://127.0.0.1:9", key="AKEY-VISIBLE", secret="ASECRET-VISIBLE")

    with pytest.raises(BrokerUnavailable) as raised:
        client.submit(intent())

    told = f"{raised.value!r} {raised.value} {client!r} {vars(client)!r} {capsys.readouterr()}"
    assert "VISIBLE" not in told


@pytest.mark.parametrize(
    ("headers", "told"),
    [
        ({"Date": "Fri, 12 Apr 2024 12:00:00 GMT"}, NOON),
        ({"Date": "Fri, 12 Apr 2024 08:00:00 -0400"}, NOON),
        ({"Date": "Fri, 12 Apr 2024 12:00:00 GMT", "Age": "7"}, None),
        ({"Date": "Fri, 12 Apr 2024 12:00:00 -0000"}, None),
        ({"Date": "at noon"}, None),
        ({"Date": "Fri, 31 Dec 9999 23:59:59 -0100"}, None),
        ({}, None),
    ],
)
def test_the_time_of_an_answer_is_what_its_header_says(headers: dict[str, str], told: datetime | None) -> None:
    """RFC 9110, 6.6.1; a cache's copy, or a time without a zone, tells nothing of now."""
    with scripted(always(200, [])) as script:
        alpaca = broker(script.url)
        before = alpaca.answered_at
        script.headers = headers

        alpaca.positions()

        assert (before, alpaca.answered_at) == (None, told)


@pytest.mark.parametrize(("seconds_apart", "is_told"), [(-3, False), (-2, True), (1, True), (3, False)])
def test_a_time_that_is_not_this_machines_is_not_believed(seconds_apart: int, is_told: bool) -> None:
    own = NOON + timedelta(seconds=seconds_apart)
    with scripted(always(200, [])) as script:
        script.headers = {"Date": "Fri, 12 Apr 2024 12:00:00 GMT"}
        alpaca = AlpacaBroker(script.url, key="key", secret="secret", own_time=lambda: own)

        alpaca.positions()

        assert alpaca.answered_at == (NOON if is_told else None)
