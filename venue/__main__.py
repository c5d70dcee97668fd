"""`python -m venue`: serve recorded real bars as an Alpaca-compatible exchange with a stepped clock."""

from __future__ import annotations

import argparse
import sys
from datetime import datetime
from decimal import Decimal, InvalidOperation

from venue.app import Keys
from venue.exchange import DEFAULT_CASH_USD, DEFAULT_RATE_LIMIT, Exchange
from venue.persistence import Journal, JournalError
from venue.recording import load
from venue.series import RecordingError
from venue.serve import HOST, bound_socket, server
from venue.wire import ApiError, from_us, parse_time, plain, rfc3339, to_us


def main(arguments: list[str] | None = None) -> int:
    """Serves until interrupted; 2 with a message when it cannot start."""
    options = _parser().parse_args(arguments)
    if bool(options.key) != bool(options.secret):
        return _refuse("give --key and --secret together, or neither")
    try:
        recording = load(options.data)
        if to_us(options.start) >= recording.last_us:
            return _refuse(f"the recording ends {rfc3339(from_us(recording.last_us))}; choose an earlier --start")
        journal = Journal(options.db) if options.db else None
        if journal is not None:
            journal.claim(
                {
                    "start": str(rfc3339(options.start)),
                    "cash": plain(options.cash),
                    "data fingerprint": recording.fingerprint,
                }
                | ({"options level": str(options.options_level)} if recording.chains else {})
                | ({"shorting": "allowed"} if options.shorting else {})
            )
            journal.commit()
        exchange = Exchange(
            recording,
            start=options.start,
            cash_usd=options.cash,
            rate_limit=options.rate_limit,
            journal=journal,
            option_level=options.options_level,
            shorting=options.shorting,
        )
        listener = bound_socket(options.port)
    except (RecordingError, JournalError) as error:
        return _refuse(str(error))
    except OSError as error:
        return _refuse(f"cannot listen on {HOST}:{options.port}: {error}; choose another --port")
    for note in recording.notes:
        print(note)
    port = listener.getsockname()[1]
    symbols = ", ".join(recording.series)
    print(f"venue: http://{HOST}:{port} at {rfc3339(exchange.now)}, trading {symbols}", flush=True)
    keys = Keys(options.key, options.secret) if options.key else None
    server(exchange, keys=keys).run([listener])
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m venue", description=__doc__)
    parser.add_argument("--port", type=int, required=True, help="port on 127.0.0.1; 0 picks a free one")
    parser.add_argument("--data", required=True, help="comma list of recording names or folders")
    parser.add_argument("--start", type=_start, required=True, help="the clock's first time, ISO, UTC")
    parser.add_argument("--cash", type=_cash, default=DEFAULT_CASH_USD, help="starting dollars")
    parser.add_argument("--db", help="file that keeps the state over a kill and restart")
    parser.add_argument(
        "--rate-limit",
        type=_rate_limit,
        default=DEFAULT_RATE_LIMIT,
        help="requests per minute of venue time, for trading and for data; 0 is no limit",
    )
    parser.add_argument(
        "--options-level", type=int, choices=range(4), default=3, help="0 none, 1 covered, 2 long, 3 spreads"
    )
    parser.add_argument(
        "--shorting", action="store_true", help="sales of shares that are not held open short positions"
    )
    parser.add_argument("--key", help="demand this API key")
    parser.add_argument("--secret", help="demand this API secret")
    return parser


def _start(text: str) -> datetime:
    try:
        return parse_time(text, "--start")
    except ApiError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _cash(text: str) -> Decimal:
    try:
        cash = Decimal(text)
    except InvalidOperation:
        cash = Decimal("NaN")
    if not cash.is_finite() or cash < 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not an amount of dollars")
    return cash


def _rate_limit(text: str) -> int:
    if not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of requests; 0 is no limit")
    return int(text)


def _refuse(message: str) -> int:
    print(f"venue: {message}", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
