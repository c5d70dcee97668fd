"""What the functions do to a process while it starts."""

from __future__ import annotations

import gc

from functions.__main__ import application


def test_the_garbage_collector_runs_again_once_the_functions_are_imported() -> None:
    application()

    assert gc.isenabled()
    assert gc.get_freeze_count() > 100_000
