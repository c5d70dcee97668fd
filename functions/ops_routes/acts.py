"""What `ops` does on a POST: a person halts, resumes, resets a breaker, or takes everything out."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Literal

import structlog
from flask import Request
from pydantic import BaseModel, ConfigDict, Field, RootModel

from core.control import MODE_PATH, mode_of, set_mode
from core.cycle.emergency import Instruction, carry_out
from core.errors import Conflict
from core.model.judgement import Mode, ModeState
from core.model.orders import Order, OrderStatus, Side

from .asked import Asked

PATIENCE_S = 15.0
"""For each of three waits, so that an emergency ends before its function does (120 s)."""

SIGNATURE_CHECKED = "SIGNATURE_REMOVED_BY_GOOGLE"
"""What Cloud Run puts in the place of a token's signature once it has checked it."""

OneLine = Field(min_length=1, pattern=r"^[^\x00-\x1f\x7f]*\S[^\x00-\x1f\x7f]*$")

log = structlog.get_logger()


class Signed(BaseModel):
    """Why, and who decides it: one line each, kept in `audit`."""

    model_config = ConfigDict(extra="forbid", strict=True)

    reason: Annotated[str, OneLine, Field(max_length=300)]
    by: Annotated[str, OneLine, Field(max_length=100)]


class Halt(Signed):
    """`all`: stop exits too."""

    all: bool = False


class Cancel(Signed):
    """Every open order. `force`: take the account over from a run that holds it."""

    action: Literal["cancel"]
    force: bool = False


class Flatten(Signed):
    """Every open order and every position, at market; `confirm` repeats the word."""

    action: Literal["flatten"]
    confirm: Literal["flatten"]
    force: bool = False


class Emergency(RootModel[Annotated[Cancel | Flatten, Field(discriminator="action")]]):
    """What to take out."""


def halt(asked: Asked) -> ModeState:
    assert isinstance(asked.body, Halt)
    return _set(asked, asked.body, Mode.HALTED if asked.body.all else Mode.REDUCING)


def resume(asked: Asked) -> ModeState:
    assert isinstance(asked.body, Signed)
    return _set(asked, asked.body, Mode.ACTIVE)


def reset(asked: Asked) -> ModeState:
    """Lift what a breaker set, or what a lost mode means; `Conflict` where a person's word is in force.

    Nothing is done where the mode is ACTIVE already.
    """
    assert isinstance(asked.body, Signed)
    (stored,) = asked.instance.store.read([MODE_PATH])
    now = mode_of(stored, is_first_run=False, as_of=asked.now)
    if now.mode is Mode.ACTIVE:
        return now
    if now.is_by_a_person:
        raise Conflict(f"{now.mode} was set by {now.by}: {now.reason}; a reset lifts breakers only, use /resume")
    return _set(asked, asked.body, Mode.ACTIVE, replaces=None if stored is None else stored.version)


def _set(asked: Asked, signed: Signed, mode: Mode, replaces: str | None = None) -> ModeState:
    """The mode in force afterwards. A person acts in today's time, whatever a venue's clock says."""
    by, at = _who(asked, signed), datetime.now(UTC)
    after = set_mode(asked.instance.store, mode, reason=signed.reason, by=by, at=at, replaces=replaces)
    log.warning("mode_set", mode=after.mode, by=after.by, reason=after.reason)
    return after


@dataclass(frozen=True, slots=True)
class OrderTold:
    """An order that is open or was sent; `quantity` None: an order by dollars."""

    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal | None
    status: OrderStatus
    note: str


@dataclass(frozen=True, slots=True)
class EmergencyOutcome:
    """What the broker says afterwards. `left`: what is still held, why, and what to do; send the request again.

    `is_done`: nothing is open any more, and after a flatten nothing is held.
    """

    is_done: bool
    canceled: int
    sent: Sequence[OrderTold]
    open_orders: Sequence[OrderTold]
    left: Sequence[str]
    notes: Sequence[str]


def emergency(asked: Asked) -> EmergencyOutcome:
    assert isinstance(asked.body, Emergency)
    told = asked.body.root
    by = _who(asked, told)
    log.warning("emergency", action=told.action, by=by, reason=told.reason)
    instruction = Instruction(isinstance(told, Flatten), told.reason, by, told.force, PATIENCE_S)
    outcome = carry_out(asked.instance.world(), instruction)
    return EmergencyOutcome(
        is_done=not outcome.open_orders and not outcome.left,
        canceled=outcome.canceled,
        sent=[
            OrderTold(
                record.client_order_id,
                record.intent.symbol,
                record.intent.side,
                record.intent.quantity,
                record.status,
                record.note,
            )
            for record in outcome.sent
        ],
        open_orders=[_told(order) for order in outcome.open_orders],
        left=outcome.left,
        notes=outcome.notes,
    )


def _told(order: Order) -> OrderTold:
    return OrderTold(order.client_order_id, order.symbol, order.side, order.quantity, order.status, "")


def _who(asked: Asked, signed: Signed) -> str:
    """The name in the body, which nobody checked, and beside it the account whose token the platform has checked."""
    return f"{signed.by}, called as {asked.caller}" if asked.caller else signed.by


def verified_caller(request: Request) -> str:
    """The email of the token that Cloud Run let in; empty where the platform vouches for none.

    Cloud Run checks X-Serverless-Authorization where there is one and leaves Authorization to the caller then.
    Outside of Cloud Run nobody has checked any token.
    """
    if "K_SERVICE" not in os.environ:
        return ""
    header = request.headers.get("X-Serverless-Authorization") or request.headers.get("Authorization", "")
    parts = header.removeprefix("Bearer ").split(".")
    if len(parts) != 3 or parts[2] != SIGNATURE_CHECKED:
        return ""
    try:
        claims = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except ValueError:
        return ""
    email = claims.get("email") if isinstance(claims, dict) and claims.get("email_verified") is True else None
    return email if isinstance(email, str) and email.isprintable() and len(email) <= 254 else ""
