"""Paper trading from the command line: what it refuses before anything starts."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from cli.main import main
from cli.run import paper_settings, told
from cli.scheduler import Delivery

KEYS = {"ALPACA_PAPER_API_KEY": "k", "ALPACA_PAPER_SECRET_KEY": "s"}


@pytest.mark.parametrize("name", sorted(KEYS))
def test_missing_keys_are_named_and_nothing_starts(name: str) -> None:
    answered = CliRunner().invoke(main, ["run"], env={**KEYS, name: ""})

    assert answered.exit_code == 1
    assert answered.output.startswith(f"Error: {name} not set")
    assert "cronfolio demo" in answered.output


@pytest.mark.parametrize(
    "url", ["https://api.alpaca.markets", "https://API.alpaca.markets./v2", "https://api.alpaca.markets:443"]
)
def test_real_money_is_refused(tmp_path: Path, url: str) -> None:
    with pytest.raises(click.ClickException, match="real-money account, and Cronfolio trades paper only"):
        paper_settings({**KEYS, "ALPACA_BASE_URL": url}, tmp_path)


def test_state_is_kept_in_var_run_unless_another_store_is_named(tmp_path: Path) -> None:
    kept = paper_settings(KEYS, tmp_path)["CRONFOLIO_STATE"]
    named = paper_settings({**KEYS, "CRONFOLIO_STATE": f"sqlite:///{tmp_path}/mine.db"}, tmp_path)["CRONFOLIO_STATE"]

    assert kept == f"sqlite:///{Path('var/run/state.db').resolve()}"
    assert named == f"sqlite:///{tmp_path}/mine.db"


def test_a_setting_that_cannot_be_used_is_told_before_anything_starts(tmp_path: Path) -> None:
    with pytest.raises(click.ClickException, match="MIN_CONFIDENCE"):
        paper_settings({**KEYS, "MIN_CONFIDENCE": "7"}, tmp_path)


def test_a_cycle_is_told_in_a_line_and_its_orders_below() -> None:
    receipt = {
        "outcome": "done",
        "mode": "ACTIVE",
        "equity_usd": "100.00",
        "cash_usd": "90.00",
        "closed_trades": 3,
        "symbols": [{"done": ["buy 1 BTC/USD"]}, {"done": []}],
    }

    shown = told(Delivery(datetime(2024, 1, 1, tzinfo=UTC), receipt, 20.0, 1))

    assert shown == "2024-01-01 00:00:00 UTC  ACTIVE  equity $100.00  cash $90.00  closed trades 3\n  buy 1 BTC/USD"


def test_a_cycle_that_did_nothing_says_why() -> None:
    receipt = {"outcome": "disabled", "reason": "CRYPTO_TRADING is false"}

    assert "CRYPTO_TRADING is false" in told(Delivery(datetime(2024, 1, 1, tzinfo=UTC), receipt, 20.0, 1))
