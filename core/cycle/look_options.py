"""Looking at options: the chains of this cycle's underlyings and the quotes of what is held, in few calls."""

from __future__ import annotations

from dataclasses import replace

import structlog

from core.cycle.world import World
from core.errors import BadFacts, BrokerRefused, BrokerUnavailable
from core.model.judgement import Mode, Refusal, Snapshot
from core.model.market import AssetClass
from core.model.options import Chain, merged, underlying_of, with_open_interest
from core.modules.options import rotation, windows
from core.modules.views import span

log = structlog.get_logger()

NO_ANSWER = (BrokerUnavailable, BrokerRefused, BadFacts)


def option_facts(world: World, snapshot: Snapshot, *, exits_only: bool = False) -> Snapshot:
    """The snapshot with chains: of what is held and, to open something, of the underlyings whose turn it is; none while
    the market is shut.

    A chain that cannot be had is a gap: its underlying gets no entry, and what is held of it leaves by the broker's own
    prices.
    """
    if snapshot.clock is None or not snapshot.clock.is_open:
        return snapshot
    chains: dict[str, Chain] = {}
    gaps: list[Refusal] = []
    options = (position.symbol for position in snapshot.positions if position.asset_class is AssetClass.OPTION)
    # Alpaca answers for none if it does not know one of them, such as an adjusted contract
    held = sorted(symbol for symbol in options if underlying_of(symbol) != symbol)
    if held:
        try:
            chains |= {chain.underlying: chain for chain in world.options.contracts(held)}
        except NO_ANSWER as error:
            log.warning("held_contracts_unavailable", error=str(error))
            gaps += [Refusal(symbol, "quote", str(error)) for symbol in held]
    turn = rotation(snapshot.as_of, tuple(sorted(snapshot.assets)), snapshot.limits.options.underlyings_per_cycle)
    for underlying in turn if snapshot.mode.mode is Mode.ACTIVE and not exits_only else ():
        chain = _chain(world, snapshot, underlying)
        if isinstance(chain, Refusal):
            gaps.append(chain)
        else:
            chains[underlying] = merged(chain, chains[underlying]) if underlying in chains else chain
    return replace(snapshot, chains=chains, gaps=(*snapshot.gaps, *gaps))


def _chain(world: World, snapshot: Snapshot, underlying: str) -> Chain | Refusal:
    """The part of the chain that may be traded, with open interest; which is of the day before and read once a day."""
    spot = snapshot.spot(underlying)
    if spot is None:
        return Refusal(underlying, "quote", "the broker gives no price of the underlying")
    age_s, most_s = (snapshot.as_of - spot.as_of).total_seconds(), snapshot.limits.options.max_quote_age_s
    if age_s > most_s:
        reason = f"the underlying's price is {span(age_s)} old, at most {span(most_s)}"
        return Refusal(underlying, "spot_age", reason)
    window = windows(underlying, spot.price, snapshot.as_of, snapshot.limits.options)
    names = tuple(sorted(snapshot.assets))
    try:
        interest = world.options.open_interest(names, window.first_expiry, window.last_expiry)
        return with_open_interest(world.options.chain(window), interest)
    except NO_ANSWER as error:
        log.warning("chain_unavailable", underlying=underlying, error=str(error))
        return Refusal(underlying, "chain", str(error))
