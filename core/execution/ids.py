"""The client order id: the same plan always gives the same id, so the broker itself refuses a second copy."""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime

from core.model.market import joined
from core.model.orders import Purpose

MAX_LENGTH = 48
_OURS = re.compile(rf".+-({'|'.join(Purpose)})-\d{{6}}-\d+-[a-z2-7]{{8}}")


def client_order_id(
    account_id: str, cycle_id: str, as_of: datetime, symbol: str, purpose: Purpose, attempt: int = 1
) -> str:
    """`BTCUSD-entry-190102-1-k3x9q2ma`: symbol, purpose, day, attempt and a digest of account and cycle.

    An account takes an id once and for ever; 40 bits of digest keep the cycles of one day apart.
    """
    digest = hashlib.sha256(f"{account_id}\n{cycle_id}".encode()).digest()
    tail = base64.b32encode(digest[:5]).decode().lower()
    name = f"{joined(symbol)}-{purpose}-{as_of:%y%m%d}-{attempt}-{tail}"
    if len(name) > MAX_LENGTH:
        raise ValueError(f"client order id {name} has {len(name)} characters, at most {MAX_LENGTH}; shorten the symbol")
    return name


def purpose_of(order_id: str) -> Purpose | None:
    """What an order of ours was for, as its client order id says; None for an id that is not of this form."""
    match = _OURS.fullmatch(order_id)
    return None if match is None else Purpose(match[1])
