"""The yardstick of a cold start: a function that imports what every function here needs, and does nothing."""

from __future__ import annotations

import firebase_admin
import functions_framework
from alpaca.data.historical import CryptoHistoricalDataClient
from alpaca.trading.client import TradingClient
from flask import Request

PACKAGES = (firebase_admin, functions_framework, CryptoHistoricalDataClient, TradingClient)


def bare(request: Request) -> str:
    return "done"
