"""`python -m cli.venue_time --port P`: the functions as deployed, whose waits let the venue's time pass.

In recorded time a real wait would be lost: nothing happens at the venue meanwhile, and no lease there grows older.
"""

from __future__ import annotations

import os
import time
from typing import SupportsIndex

from cli.scheduler import local_session
from functions.__main__ import main

TIMEOUT_S = 30


def wait(seconds: float | SupportsIndex) -> None:
    """Let the venue's clock run for so long."""
    url = f"{os.environ['ALPACA_BASE_URL']}/venue/advance"
    local_session().post(url, json={"seconds": round(float(seconds), 3)}, timeout=TIMEOUT_S).raise_for_status()


if __name__ == "__main__":
    # Whoever waits in this process finds it here: a run by its port, the client before it asks the broker again.
    time.sleep = wait
    main()
