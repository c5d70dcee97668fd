"""Where decimals meet floats, and where quantities meet the broker's increments. Nothing here rounds up a quantity."""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal

CENT = Decimal("0.01")


def decimal_from_float(value: float) -> Decimal:
    """The decimal that prints like the float (its shortest repr); refuses NaN and infinities."""
    result = Decimal(repr(float(value)))
    if not result.is_finite():
        raise ValueError(f"{value} is not a finite number; a market fact is missing upstream")
    return result


def floor_to(value: Decimal, increment: Decimal) -> Decimal:
    """The largest multiple of `increment` that is not above `value`."""
    _check_increment(increment)
    return _plain((value / increment).to_integral_value(ROUND_FLOOR) * increment)


def ceil_to(value: Decimal, increment: Decimal) -> Decimal:
    """The smallest multiple of `increment` that is not below `value`; for prices of buys, never for quantities."""
    _check_increment(increment)
    return _plain((value / increment).to_integral_value(ROUND_CEILING) * increment)


def cents(value: Decimal) -> Decimal:
    """Dollars to the cent, half to even."""
    return value.quantize(CENT, ROUND_HALF_EVEN)


def dollars(value: Decimal) -> str:
    """Dollars to the cent as text, always with two decimals."""
    return f"{cents(value):f}"


def text(value: Decimal) -> str:
    """The decimal as plain digits, without exponent or trailing zeros."""
    return format(_plain(value), "f")


def _plain(value: Decimal) -> Decimal:
    return value.normalize() if value else Decimal(0)


def _check_increment(increment: Decimal) -> None:
    if increment <= 0:
        raise ValueError(f"increment {increment} must be above zero; read it from the broker's asset")
