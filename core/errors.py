"""The errors of Cronfolio, split by what the caller should do next.

    CronfolioError
    ├── BadRequest          the caller must change the request               -> HTTP 400
    ├── Unsure              an outside call gave no answer; come back later  -> HTTP 503
    │   ├── BrokerUnavailable    the broker did not answer, or answered 5xx/429
    │   ├── StoreUnavailable     the state store did not answer
    │   ├── SourceUnavailable    an optional source did not answer; go on without it
    │   └── LeaseLost            another owner holds the account; stop at once
    ├── Conflict            a precondition of a store write failed: look before retrying
    ├── BrokerRefused       the broker understood and said no: a result, not to be retried
    └── BadFacts            outside data cannot be what it claims; nothing was done

A refusal by our own rules is not an error: see `core.model.Refusal`.
"""

from __future__ import annotations


class CronfolioError(Exception):
    """The root of everything that Cronfolio raises on purpose."""


class BadRequest(CronfolioError):
    """The request cannot be served as it stands; the message says what to change."""


class Unsure(CronfolioError):
    """An outside call left us in doubt; nothing may be assumed, the next try resumes."""


class BrokerUnavailable(Unsure):
    """The broker gave no usable answer: time-out, dropped connection, 429 or 5xx."""


class StoreUnavailable(Unsure):
    """The state store gave no usable answer."""


class SourceUnavailable(Unsure):
    """An optional source of news or figures gave no usable answer."""


class LeaseLost(Unsure):
    """Another owner took the account's lease; this run must not act any more."""


class Conflict(CronfolioError):
    """A store write's precondition did not hold: somebody else wrote first."""


class BrokerRefused(CronfolioError):
    """The broker refused a request, with its HTTP status and code.

    `status` and `code` are stable at Alpaca, the message is not: branch on the first two.
    """

    def __init__(self, message: str, *, status: int, code: int | None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code


class BadFacts(CronfolioError):
    """Outside data that cannot be true (a NaN price, an unknown order status, a corrupt document)."""


FAULTS = (
    CronfolioError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a fault in code that only computes shows itself as."""
