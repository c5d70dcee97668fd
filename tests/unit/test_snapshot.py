"""What a snapshot remembers of itself."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from core.model.judgement import Snapshot
from tests.builders import snapshot


def test_an_answer_is_worked_out_once_for_a_snapshot_and_anew_for_a_changed_one() -> None:
    asked: list[str] = []

    def hour(of: Snapshot, name: str) -> int:
        asked.append(name)
        return of.as_of.hour

    moment = snapshot()
    answers = [moment.once(hour, "first"), moment.once(hour, "first"), moment.once(hour, "second")]
    later = replace(moment, as_of=moment.as_of + timedelta(hours=1)).once(hour, "first")

    assert answers == [12, 12, 12]
    assert later == 13
    assert asked == ["first", "second", "first"]


def test_what_was_worked_out_is_no_fact_of_the_snapshot() -> None:
    moment = snapshot()
    moment.once(Snapshot.position, "BTC/USD")

    assert moment == replace(moment)
    assert "known" not in repr(moment)
