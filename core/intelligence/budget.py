"""What models cost: prices, and a month's and a run's dollars, taken before a call and given back after it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

import structlog

from core.documents import document, parsed
from core.errors import BadFacts, Conflict, StoreUnavailable
from core.intelligence.answers import NoOpinion
from core.ports import Absent, AtVersion, Document, Store, Write
from core.settings import Settings

log = structlog.get_logger()

TRIES = 8
ANY_ACCOUNT = "any"
"""A key's dollars are the same whichever account they are spent for."""
MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Usage:
    """What one answer took, or at most can take."""

    input_tokens: int
    output_tokens: int
    searches: int = 0


def cost_usd(settings: Settings, usage: Usage) -> Decimal:
    """The list price, without the discount for input that the service remembers."""
    read_usd = usage.input_tokens * settings.llm_input_usd_per_million_tokens / MILLION
    written_usd = usage.output_tokens * settings.llm_output_usd_per_million_tokens / MILLION
    return read_usd + written_usd + usage.searches * settings.llm_usd_per_search


@dataclass(frozen=True, slots=True)
class Spending:
    """A month's dollars, with those of each run by the time it stands for. What is under way counts at its worst."""

    month: str
    spent_usd: Decimal = Decimal(0)
    calls: int = 0
    runs_usd: dict[str, Decimal] = field(default_factory=dict)


def budget_path(at: datetime) -> str:
    return f"intelligence_budget/{at:%Y-%m}"


class Budget:
    """The dollars of `store`, which all runs share: no two can spend the same ones.

    A call's worst cost is booked before the call, and corrected afterwards: what dies in between stays booked.
    """

    def __init__(self, store: Store, *, month_usd: Decimal, run_usd: Decimal) -> None:
        self._store, self._month_usd, self._run_usd = store, month_usd, run_usd

    def reserve(self, worst_usd: Decimal, at: datetime, found: Document | None) -> None:
        """Book a call's worst cost, or `NoOpinion` if it does not fit or cannot be booked. `found`: as read before."""

        def booked(spending: Spending) -> Spending:
            run_usd = spending.runs_usd.get(at.isoformat(), Decimal(0))
            for name, spent, budget in (
                ("month", spending.spent_usd, self._month_usd),
                ("run", run_usd, self._run_usd),
            ):
                if spent + worst_usd > budget:
                    left = f"{spent:.4f} of the {name}'s {budget} dollars are spent"
                    raise NoOpinion(f"budget: {left}, and this call may cost {worst_usd:.4f}")
            return replace(_added(spending, worst_usd, at), calls=spending.calls + 1)

        try:
            is_booked = self._change(at, booked, found)
        except (StoreUnavailable, BadFacts) as error:
            raise NoOpinion(f"budget: it cannot be booked, so nothing is spent: {error}") from error
        if not is_booked:
            raise NoOpinion("budget: others book at the same moment, so nothing is spent")

    def settle(self, worst_usd: Decimal, used_usd: Decimal, at: datetime, also: Sequence[Write] = ()) -> None:
        """Put what was used in the place of the worst, with other writes in the same commit."""
        try:
            (found,) = self._store.read([budget_path(at)])
            if self._change(at, lambda spending: _added(spending, used_usd - worst_usd, at), found, also):
                return
            reason = "others book at the same moment"
        except (StoreUnavailable, BadFacts) as error:
            reason = str(error)
        log.warning("intelligence_cost_left_at_its_worst", booked_usd=str(worst_usd), reason=reason)

    def _change(
        self, at: datetime, change: Callable[[Spending], Spending], found: Document | None, also: Sequence[Write] = ()
    ) -> bool:
        path = budget_path(at)
        for _ in range(TRIES):
            spending = Spending(f"{at:%Y-%m}") if found is None else _read(found)
            data = document(change(spending), account_id=ANY_ACCOUNT, updated_at=at)
            require = Absent() if found is None else AtVersion(found.version)
            try:
                self._store.commit([Write(path, data, require), *also])
            except Conflict:
                (found,) = self._store.read([path])
                continue
            return True
        return False


def _added(spending: Spending, usd: Decimal, at: datetime) -> Spending:
    run = at.isoformat()
    runs_usd = spending.runs_usd | {run: spending.runs_usd.get(run, Decimal(0)) + usd}
    return replace(spending, spent_usd=spending.spent_usd + usd, runs_usd=runs_usd)


def _read(found: Document) -> Spending:
    """`BadFacts` for anything that is not an amount: money is not spent on a guess."""
    spending = parsed(Spending, found)
    for usd in (spending.spent_usd, *spending.runs_usd.values()):
        if not usd.is_finite() or usd < 0:
            raise BadFacts(f"{found.path} holds {usd} dollars, which no spending is; correct it by hand")
    return spending
