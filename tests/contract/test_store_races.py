"""What every `Store` does with many callers at once: exactly one wins."""

from __future__ import annotations

from typing import Any

from core.ports import Absent, AtVersion, Write
from tests.contract.addresses import Address, race_processes, race_threads


def test_of_many_threads_that_create_a_document_one_wins(store: Any) -> None:
    for round_number in range(5):
        path = f"cycles/round-{round_number}"

        outcomes = race_threads(store, [[Write(path, {"by": racer}, Absent())] for racer in range(8)])

        assert outcomes == ["lost"] * 7 + ["won"]


def test_of_many_threads_that_write_the_same_at_one_version_one_wins(store: Any) -> None:
    (version,) = store.commit([Write("leases/account", {"owner": "nobody"})])

    for _ in range(5):
        again = Write("leases/account", {"owner": "the same"}, AtVersion(version))
        assert race_threads(store, [[again]] * 8) == ["lost"] * 7 + ["won"]
        version = store.read(["leases/account"])[0].version


def test_of_many_processes_that_create_a_document_one_wins_with_all_it_wrote(shared_address: Address) -> None:
    writes = [[Write("cycles/c", {"by": n}, Absent()), Write(f"orders/o{n}", {"by": n})] for n in range(4)]

    outcomes = race_processes(shared_address, writes)

    assert outcomes == ["lost"] * 3 + ["won"]
    store = shared_address.open()
    winner = store.read(["cycles/c"])[0].data["by"]
    orders = store.read([f"orders/o{n}" for n in range(4)])
    assert [order is not None for order in orders] == [n == winner for n in range(4)]
    store.close()


def test_no_update_is_lost_when_threads_count_with_versions(store: Any) -> None:
    store.commit([Write("counters/c", {"n": 0})])
    wins = 0

    while wins < 12:
        seen = store.read(["counters/c"])[0]
        write = Write("counters/c", {"n": seen.data["n"] + 1}, AtVersion(seen.version))
        wins += race_threads(store, [[write]] * 3).count("won")

    assert store.read(["counters/c"])[0].data == {"n": 12}
