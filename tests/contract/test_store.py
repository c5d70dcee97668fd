"""What every `Store` does with one caller: read, commit all or nothing, versions, newest first, counting."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from core.errors import Conflict
from core.ports import Absent, AtVersion, Write

NOON = datetime(2026, 1, 5, 12, 0, tzinfo=UTC)


def test_documents_come_back_in_the_order_asked_with_none_for_the_missing(store: Any) -> None:
    store.commit([Write("cycles/a", {"n": 1}), Write("cycles/b", {"n": 2})])

    found = store.read(["cycles/b", "cycles/missing", "cycles/a", "cycles/b"])

    assert [None if one is None else (one.path, one.data["n"]) for one in found] == [
        ("cycles/b", 2),
        None,
        ("cycles/a", 1),
        ("cycles/b", 2),
    ]


def test_nothing_asked_is_nothing_done(store: Any) -> None:
    assert store.read([]) == ()
    assert store.commit([]) == ()
    assert store.round_trips == 0


def test_a_write_replaces_the_whole_document(store: Any) -> None:
    store.commit([Write("cycles/a", {"owner": "one", "plan": {"BTC/USD": "buy"}})])

    store.commit([Write("cycles/a", {"plan": {"ETH/USD": "sell"}})])

    assert store.read(["cycles/a"])[0].data == {"plan": {"ETH/USD": "sell"}}


def test_an_empty_document_is_a_document(store: Any) -> None:
    store.commit([Write("cycles/a", {})])

    assert store.read(["cycles/a"])[0].data == {}


def test_commit_gives_the_versions_that_reading_gives(store: Any) -> None:
    store.commit([Write("orders/o2", {"n": 0})])

    versions = store.commit([Write("cycles/c", {"n": 1}), Write("orders/o2", {"n": 2}), Write("orders/o3", {})])

    found = store.read(["cycles/c", "orders/o2", "orders/o3"])
    assert [document.version for document in found] == list(versions)


def test_a_new_document_is_created_once(store: Any) -> None:
    store.commit([Write("cycles/a", {"owner": "first"}, Absent())])

    with pytest.raises(Conflict, match=r"cycles/a had to be absent"):
        store.commit([Write("cycles/a", {"owner": "second"}, Absent())])

    assert store.read(["cycles/a"])[0].data == {"owner": "first"}


def test_a_version_admits_one_write(store: Any) -> None:
    (seen,) = store.commit([Write("leases/account", {"owner": "one"})])
    (newer,) = store.commit([Write("leases/account", {"owner": "two"}, AtVersion(seen))])

    with pytest.raises(Conflict, match=rf"leases/account had to be at version {seen}"):
        store.commit([Write("leases/account", {"owner": "three"}, AtVersion(seen))])

    assert store.read(["leases/account"])[0].data == {"owner": "two"}
    assert newer != seen


def test_the_same_data_again_is_a_new_version(store: Any) -> None:
    (first,) = store.commit([Write("leases/account", {"owner": "one"})])

    (second,) = store.commit([Write("leases/account", {"owner": "one"}, AtVersion(first))])

    assert second != first
    assert store.read(["leases/account"])[0].version == second
    with pytest.raises(Conflict):
        store.commit([Write("leases/account", {"owner": "one"}, AtVersion(first))])


def test_a_version_of_a_document_that_is_not_there_is_a_conflict(store: Any) -> None:
    (version,) = store.commit([Write("leases/account", {})])

    with pytest.raises(Conflict, match="leases/other had to be at version"):
        store.commit([Write("leases/other", {}, AtVersion(version))])


@pytest.mark.parametrize("failing_last", [True, False])
def test_one_failed_precondition_undoes_the_whole_commit(store: Any, failing_last: bool) -> None:
    (version,) = store.commit([Write("cycles/c", {"state": "claimed"})])
    writes = [
        Write("trades/t", {"n": 1}),
        Write("cycles/c", {"state": "done"}, AtVersion(version)),
        Write("orders/new", {"n": 1}, Absent()),
    ]
    store.commit([Write("orders/taken", {"n": 0})])
    failing = Write("orders/taken", {"n": 1}, Absent())

    with pytest.raises(Conflict, match="orders/taken had to be absent"):
        store.commit([*writes, failing] if failing_last else [failing, *writes])

    trade, cycle, new, taken = store.read(["trades/t", "cycles/c", "orders/new", "orders/taken"])
    assert (trade, new) == (None, None)
    assert (cycle.data, cycle.version) == ({"state": "claimed"}, version)
    assert taken.data == {"n": 0}


def test_one_document_twice_in_a_commit_is_refused(store: Any) -> None:
    with pytest.raises(ValueError, match="cycles/a is written twice in one commit"):
        store.commit([Write("cycles/a", {"n": 1}), Write("cycles/a", {"n": 2})])


def test_many_documents_fit_one_commit(store: Any) -> None:
    versions = store.commit([Write(f"orders/o{n:03}", {"n": n}, Absent()) for n in range(300)])

    found = store.read([f"orders/o{n:03}" for n in range(300)])
    assert [document.data["n"] for document in found] == list(range(300))
    assert [document.version for document in found] == list(versions)


def test_recent_gives_the_newest_first_up_to_the_limit(store: Any) -> None:
    minutes = [3, 1, 4, 2, 0]
    store.commit([Write(f"cycles/m{minute}", {"started_at": NOON.replace(minute=minute)}) for minute in minutes])

    found = store.recent("cycles", order_by="started_at", limit=3)

    assert [document.path for document in found] == ["cycles/m4", "cycles/m3", "cycles/m2"]
    assert found[0] == store.read(["cycles/m4"])[0]


def test_recent_tells_one_microsecond_apart(store: Any) -> None:
    times = {"c": NOON, "b": NOON.replace(microsecond=1), "a": NOON.replace(microsecond=10)}
    store.commit([Write(f"cycles/{name}", {"at": at}) for name, at in times.items()])

    found = store.recent("cycles", order_by="at", limit=9)

    assert [document.path for document in found] == ["cycles/a", "cycles/b", "cycles/c"]


def test_recent_filters_by_every_equality(store: Any) -> None:
    wanted = {"account_id": "A", "module": "crypto", "started_at": NOON}
    store.commit(
        [
            Write("cycles/yes", wanted),
            Write("cycles/other-account", wanted | {"account_id": "B", "started_at": NOON.replace(hour=13)}),
            Write("cycles/other-module", wanted | {"module": "stocks", "started_at": NOON.replace(hour=14)}),
            Write("cycles/number", wanted | {"account_id": 7, "started_at": NOON.replace(hour=15)}),
            Write("orders/elsewhere", wanted | {"started_at": NOON.replace(hour=16)}),
        ]
    )
    where = [("account_id", "A"), ("module", "crypto")]

    found = store.recent("cycles", order_by="started_at", limit=9, where=where)

    assert [document.path for document in found] == ["cycles/yes"]


def test_recent_before_a_moment_leaves_out_that_moment_and_all_after(store: Any) -> None:
    times = {"late": NOON.replace(microsecond=2), "a": NOON.replace(microsecond=1), "b": NOON.replace(microsecond=1)}
    times |= {"c": NOON, "d": NOON.replace(hour=11)}
    store.commit([Write(f"cycles/{name}", {"at": at, "account_id": "A"}) for name, at in times.items()])
    store.commit([Write("cycles/none", {"at": None})])

    bound = NOON.replace(microsecond=1)
    found = store.recent("cycles", order_by="at", limit=9, before=bound)
    filtered = store.recent("cycles", order_by="at", limit=1, where=[("account_id", "A")], before=bound)

    assert [document.path for document in found] == ["cycles/c", "cycles/d", "cycles/none"]
    assert [document.path for document in filtered] == ["cycles/c"]


def test_recent_orders_text_by_its_bytes_and_ties_by_the_greater_id(store: Any) -> None:
    weeks = {"a": "2026-W02", "b": "2026-W10", "c": "2026-W02", "d": "2026-w01", "e": "é"}
    store.commit([Write(f"reports/{name}", {"week": week}) for name, week in weeks.items()])

    found = store.recent("reports", order_by="week", limit=9)

    assert [document.path[-1] for document in found] == ["e", "d", "b", "c", "a"]


def test_recent_leaves_out_documents_without_the_field_and_puts_none_last(store: Any) -> None:
    closed: dict[str, dict[str, Any]] = {
        "never": {},
        "open": {"closed_at": None},
        "closed": {"closed_at": NOON},
    }
    store.commit([Write(f"trades/{name}", data) for name, data in closed.items()])

    found = store.recent("trades", order_by="closed_at", limit=9)

    assert [document.path for document in found] == ["trades/closed", "trades/open"]


def test_recent_sees_later_writes_and_moves(store: Any) -> None:
    store.commit([Write("cycles/a", {"at": NOON}), Write("cycles/b", {"at": NOON.replace(minute=1)})])
    assert store.recent("cycles", order_by="at", limit=1)[0].path == "cycles/b"

    store.commit([Write("cycles/a", {"at": NOON.replace(minute=2)})])

    assert store.recent("cycles", order_by="at", limit=1)[0].path == "cycles/a"


@pytest.mark.parametrize(
    ("collection", "order_by", "limit", "where"),
    [
        ("cycles/x", "at", 1, []),
        ("cycles", "at desc", 1, []),
        ("cycles", "at", 0, []),
        ("cycles", "at", 1, [("a.b", "x")]),
    ],
)
def test_a_query_that_cannot_be_meant_is_refused(
    store: Any, collection: str, order_by: str, limit: int, where: list[tuple[str, str]]
) -> None:
    with pytest.raises(ValueError, match=r"collection|field|limit"):
        store.recent(collection, order_by=order_by, limit=limit, where=where)


def test_documents_are_counted_as_firestore_bills_them(store: Any) -> None:
    store.commit([Write("cycles/a", {"at": NOON}), Write("cycles/b", {"at": NOON})])
    assert (store.reads, store.writes, store.round_trips) == (0, 2, 1)

    store.read(["cycles/a", "cycles/missing", "cycles/a"])
    assert (store.reads, store.writes, store.round_trips) == (2, 2, 2)

    store.recent("cycles", order_by="at", limit=5)
    assert (store.reads, store.writes, store.round_trips) == (4, 2, 3)

    store.recent("orders", order_by="at", limit=5)
    assert (store.reads, store.writes, store.round_trips) == (5, 2, 4)

    with pytest.raises(Conflict):
        store.commit([Write("cycles/a", {}, Absent())])
    assert store.writes == 2
