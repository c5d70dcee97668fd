"""An exchange that speaks Alpaca's API over recorded real bars, with its own books and a stepped clock.

It imports nothing from core: it is the independent second opinion that core is tested against.
"""
