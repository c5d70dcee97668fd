"""A measured figure and the bound it is held to."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """`bound` is text such as "at most 6"; `is_missed` None means that nothing was promised or nothing was measured."""

    name: str
    shown: str
    bound: str = ""
    missed: bool | None = None

    @property
    def is_missed(self) -> bool:
        return bool(self.missed)

    @property
    def verdict(self) -> str:
        return "" if self.missed is None else "NO" if self.missed else "yes"


def at_most(name: str, value: float, bound: float, *, detail: str = "") -> Figure:
    return Figure(name, f"{value:g}{detail}", f"at most {bound:g}", value > bound)


def at_least(name: str, value: float, bound: float, *, detail: str = "") -> Figure:
    return Figure(name, f"{value:.2f}{detail}", f"at least {bound:g}", value < bound)
