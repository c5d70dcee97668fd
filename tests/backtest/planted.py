"""Strategies with one of them changed."""

from __future__ import annotations

from collections.abc import Mapping

from core.model.universe import Group
from core.strategies.strategy import Strategy


def with_strategy(
    strategies: Mapping[Group, tuple[Strategy, ...]], planted: Strategy
) -> dict[Group, tuple[Strategy, ...]]:
    return {
        group: tuple(planted if each.name == planted.name else each for each in own)
        for group, own in strategies.items()
    }
