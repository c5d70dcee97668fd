"""Settings: every problem at once, hard maxima that hold, and secrets that never show."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from core.app import Instance
from core.model.limits import Costs, ExitRules, RiskLimits, SafetyLimits, SignalRules
from core.model.market import Timeframe
from core.settings import InvalidSettings, Settings, load

KEY, SECRET = "PK-very-private-key", "very-private-secret"
LOCAL = {
    "ALPACA_PAPER_API_KEY": KEY,
    "ALPACA_PAPER_SECRET_KEY": SECRET,
    "CRONFOLIO_STATE": "sqlite:///state.db",
}


def loaded(**variables: str) -> Settings:
    return load({**LOCAL, **variables})


def problems(**variables: str) -> str:
    with pytest.raises(InvalidSettings) as caught:
        loaded(**variables)
    return str(caught.value)


def test_defaults_are_the_documented_limits() -> None:
    limits = loaded().limits

    assert limits.risk == RiskLimits()
    assert limits.safety == SafetyLimits()
    assert limits.exits == ExitRules()
    assert limits.costs == Costs()
    assert limits.signals == SignalRules()


@pytest.mark.parametrize(
    "url", ["https://api.alpaca.markets", "https://API.alpaca.markets./v2", "https://api.alpaca.markets:443"]
)
def test_real_money_is_refused_however_it_is_spelled(url: str) -> None:
    assert "real-money account" in problems(ALPACA_BASE_URL=url)


@pytest.mark.parametrize("end", ["", "/", "/v2", "/v2/"])
def test_address_may_be_written_as_alpaca_shows_it(end: str) -> None:
    """Its dashboard shows the paper host with a version, which every path of ours names itself."""
    settings = loaded(
        ALPACA_BASE_URL=f"https://paper-api.alpaca.markets{end}", ALPACA_DATA_URL=f"http://127.0.0.1:1{end}"
    )

    assert settings.alpaca_base_url == "https://paper-api.alpaca.markets"
    assert (settings.alpaca_data_url, settings.alpaca_stream_url) == ("http://127.0.0.1:1", "ws://127.0.0.1:1")


def test_origin_tells_paper_from_replay() -> None:
    """I-08: figures of a replay are never taken for a paper account's."""
    assert loaded().origin == "paper"
    assert loaded(ALPACA_BASE_URL="http://127.0.0.1:9100").origin == "replay"


@pytest.mark.parametrize(
    ("address", "is_bounded"),
    [
        ("https://paper-api.alpaca.markets", True),
        ("https://gateway.example", True),
        ("http://127.0.0.1:9100", False),
        ("http://localhost:9100", False),
    ],
)
def test_only_a_venue_on_this_machine_may_live_in_another_time(address: str, is_bounded: bool, tmp_path: Path) -> None:
    """A gateway before the broker stamps its own `Date`, which must be near this machine's to count."""
    state = f"sqlite:///{tmp_path}/state.db"

    broker = Instance(loaded(ALPACA_BASE_URL=address, CRONFOLIO_STATE=state)).broker

    assert (broker._own_time is not None) is is_bounded


def test_state_is_a_local_file_here_and_firestore_in_google_cloud() -> None:
    keys = {name: LOCAL[name] for name in ("ALPACA_PAPER_API_KEY", "ALPACA_PAPER_SECRET_KEY")}
    cloud = {"K_SERVICE": "crypto-cycle", "GCLOUD_PROJECT": "my-project", "CRONFOLIO_BLOBS": "gs://my-bucket"}

    assert load(keys).cronfolio_state == "sqlite:///var/state.db"
    deployed = load(keys | cloud)
    assert (deployed.cronfolio_state, deployed.google_cloud_project) == ("firestore", "my-project")


def test_only_a_venue_on_this_machine_needs_no_keys() -> None:
    assert load({"ALPACA_BASE_URL": "http://127.0.0.1:9100"}).alpaca_paper_api_key.get_secret_value() == "local-venue"
    with pytest.raises(InvalidSettings, match="ALPACA_PAPER_API_KEY is not set"):
        load({"ALPACA_BASE_URL": "https://paper-api.alpaca.markets"})


def test_a_venue_on_this_machine_streams_its_quotes_itself() -> None:
    local, alpaca = loaded(ALPACA_DATA_URL="http://127.0.0.1:9100"), loaded()

    assert local.alpaca_stream_url == "ws://127.0.0.1:9100"
    assert alpaca.alpaca_stream_url == "wss://stream.data.alpaca.markets"
    assert alpaca.monitor_stream_s == 0


def test_default_universe_is_nine_coins_on_daily_bars() -> None:
    settings = loaded()

    assert len(settings.crypto_symbols) == 9
    assert settings.crypto_symbols[0] == "BTC/USD"
    assert settings.crypto_timeframe is Timeframe.DAY


def test_default_sessions_cover_the_day_without_a_gap_and_never_enlarge() -> None:
    """I-17: no hour is bolder than another."""
    sessions = loaded().crypto_sessions

    assert [(each.start_hour, each.end_hour) for each in sessions] == [(0, 8), (8, 16), (16, 24)]
    assert all(each.size_factor <= 1 for each in sessions)


def test_every_problem_is_reported_at_once_by_its_variable() -> None:
    """I-58: one start tells everything that is wrong."""
    with pytest.raises(InvalidSettings) as caught:
        load(
            {
                "ALPACA_PAPER_SECRET_KEY": SECRET,
                "MAX_POSITIONS": "26",
                "MAX_ENTRY_FRAC": "a lot",
                "CRYPTO_TIMEFRAME": "2Day",
                "CRYPTO_SYMBOLS": "BTCUSD",
                "CRYPTO_SESSIONS": "all 0-24 1.0 momentm",
                "LOG_LEVEL": "LOUD",
            }
        )

    for name in (
        "ALPACA_PAPER_API_KEY",
        "MAX_POSITIONS",
        "MAX_ENTRY_FRAC",
        "CRYPTO_TIMEFRAME",
        "CRYPTO_SYMBOLS",
        "CRYPTO_SESSIONS",
        "LOG_LEVEL",
    ):
        assert f"- {name}" in str(caught.value)


def test_missing_project_and_bucket_are_both_named() -> None:
    message = problems(CRONFOLIO_STATE="firestore")

    assert "GOOGLE_CLOUD_PROJECT" in message
    assert "CRONFOLIO_BLOBS" in message


def test_secrets_never_show() -> None:
    """I-64: not in a repr, a text, a dump or an error."""
    settings = loaded()
    shown = [repr(settings), str(settings), str(settings.model_dump()), settings.model_dump_json()]
    shown += [problems(MAX_POSITIONS="99"), problems(CRONFOLIO_STATE="firestore", CRYPTO_SESSIONS="wrong")]

    for text in shown:
        assert KEY not in text
        assert SECRET not in text
    assert settings.alpaca_paper_api_key.get_secret_value() == KEY


def test_value_of_a_wrong_variable_is_not_repeated() -> None:
    """A key pasted into the wrong variable must not reach a log."""
    for name in ("MAX_POSITIONS", "MAX_ENTRY_FRAC", "CRYPTO_TIMEFRAME", "LOG_LEVEL", "CRONFOLIO_STATE"):
        assert SECRET not in problems(**{name: SECRET})


def test_error_carries_no_chain_with_values() -> None:
    """A traceback prints causes too."""
    with pytest.raises(InvalidSettings) as caught:
        loaded(MAX_POSITIONS=SECRET)

    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("name", "beyond", "at"),
    [
        ("RISK_PER_TRADE_FRAC", "0.0201", "0.02"),
        ("MAX_ENTRY_FRAC", "0.1501", "0.15"),
        ("MAX_SYMBOL_FRAC", "0.1501", "0.15"),
        ("CASH_FLOOR_FRAC", "0.0499", "0.05"),
        ("MAX_POSITIONS", "26", "25"),
        ("SYMBOL_COOLDOWN_MINUTES", "4", "5"),
        ("MAX_SYMBOL_TRADES_PER_HOUR", "3", "2"),
        ("MAX_ENTRIES_PER_5_MINUTES", "6", "5"),
        ("MAX_ENTRIES_PER_DAY", "51", "50"),
        ("MAX_ENTRIES_PER_CYCLE", "6", "5"),
        ("DAILY_LOSS_REDUCING_FRAC", "0.0201", "0.02"),
        ("DAILY_LOSS_HALT_FRAC", "0.0501", "0.05"),
        ("STOP_FLOOR_FRAC", "0.1501", "0.15"),
        ("MIN_CONFIDENCE", "0.49", "0.5"),
        ("EXIT_CONFIDENCE", "0.51", "0.5"),
        ("MONITOR_STREAM_S", "56", "55"),
        ("MAX_QUOTE_AGE_S", "1801", "1800"),
        ("MAX_SPREAD_FRAC", "0.051", "0.05"),
        ("ASSUMED_SKILL", "0.21", "0.2"),
        ("SETTLE_WAIT_S", "20.1", "20"),
    ],
)
def test_hard_maximum_cannot_be_configured_away(name: str, beyond: str, at: str) -> None:
    """I-12, I-19, I-20: a limit may be made tighter, never looser than the code's own bound."""
    assert f"- {name}:" in problems(**{name: beyond})
    loaded(**{name: at})


@pytest.mark.parametrize("value", ["null", "None", "unlimited", "-1", "0", "nan", "NaN", "inf", "1e9", " ", "1,5"])
@pytest.mark.parametrize("name", ["MAX_SYMBOL_FRAC", "MAX_POSITIONS", "DAILY_LOSS_HALT_FRAC", "STOP_FLOOR_FRAC"])
def test_no_word_and_no_absurd_number_switches_a_limit_off(name: str, value: str) -> None:
    """I-12: "unlimited" is not a limit."""
    assert f"- {name}:" in problems(**{name: value})


def test_empty_variable_counts_as_not_set() -> None:
    assert loaded(MAX_POSITIONS="").max_positions == 25
    assert "ALPACA_PAPER_API_KEY is not set" in problems(ALPACA_PAPER_API_KEY="")


def test_unknown_strategy_suggests_the_near_miss() -> None:
    assert "did you mean momentum?" in problems(CRYPTO_SESSIONS="all 0-24 1.0 momentun")
    assert "known are momentum, breakout, mean_reversion" in problems(CRYPTO_SESSIONS="all 0-24 1.0 astrology")


@pytest.mark.parametrize(
    "sessions",
    [
        "all 0-24 1.2 momentum",
        "all 0-24 0 momentum",
        "all 0-24 -1 momentum",
        "all 0-24 big momentum",
        "all 0-24 nan momentum",
        "all 0-25 1.0 momentum",
        "all 8-8 1.0 momentum",
        "all 16-8 1.0 momentum",
        "all x-24 1.0 momentum",
        "all 0-24 1.0",
        "all",
        ";",
    ],
)
def test_session_that_makes_no_sense_is_refused(sessions: str) -> None:
    """I-17: a size above one is refused too."""
    assert "- CRYPTO_SESSIONS:" in problems(CRYPTO_SESSIONS=sessions)


@pytest.mark.parametrize("symbols", ["BTCUSD", "btc/usd", "BTC/USD,ETH", ",", "BTC/USD/EUR"])
def test_symbol_in_another_form_is_refused(symbols: str) -> None:
    """I-30: one canonical form."""
    assert "- CRYPTO_SYMBOLS:" in problems(CRYPTO_SYMBOLS=symbols)


def test_lists_and_sessions_are_read_from_text() -> None:
    settings = loaded(CRYPTO_SYMBOLS=" ETH/USD , BTC/USD ", CRYPTO_SESSIONS="night 0-6 0.5 breakout momentum")
    (night,) = settings.crypto_sessions

    assert settings.crypto_symbols == ("ETH/USD", "BTC/USD")
    assert (night.name, night.start_hour, night.end_hour) == ("night", 0, 6)
    assert (night.size_factor, night.strategies) == (Decimal("0.5"), ("breakout", "momentum"))
    assert settings.limits.sessions == (night,)


@pytest.mark.parametrize(
    ("name", "value", "read"),
    [
        ("RISK_PER_TRADE_FRAC", "0.005", lambda limits: limits.risk.risk_per_trade_frac),
        ("MAX_ENTRY_FRAC", "0.02", lambda limits: limits.risk.max_entry_frac),
        ("MAX_SYMBOL_FRAC", "0.08", lambda limits: limits.risk.max_symbol_frac),
        ("CASH_FLOOR_FRAC", "0.3", lambda limits: limits.risk.cash_floor_frac),
        ("MAX_POSITIONS", "3", lambda limits: limits.risk.max_positions),
        ("MAX_GROSS_FRAC", "0.8", lambda limits: limits.risk.max_gross_frac),
        ("MAX_STOCK_FRAC", "0.3", lambda limits: limits.risk.max_stock_frac),
        ("MAX_OPTION_FRAC", "0.2", lambda limits: limits.risk.max_option_frac),
        ("MAX_OPTION_RISK_FRAC", "0.05", lambda limits: limits.risk.max_option_risk_frac),
        ("MAX_SECTOR_FRAC", "0.25", lambda limits: limits.risk.max_sector_frac),
        ("MAX_CORRELATED_FRAC", "0.2", lambda limits: limits.risk.max_correlated_frac),
        ("OPTION_UNDERLYINGS_PER_CYCLE", "2", lambda limits: limits.options.underlyings_per_cycle),
        ("MARKET_TIER", "1", lambda limits: limits.stocks.max_market_tier),
        ("SYMBOL_COOLDOWN_MINUTES", "30", lambda limits: limits.safety.symbol_cooldown_minutes),
        ("MAX_SYMBOL_TRADES_PER_HOUR", "1", lambda limits: limits.safety.max_symbol_trades_per_hour),
        ("MAX_ENTRIES_PER_5_MINUTES", "1", lambda limits: limits.safety.max_entries_per_5_minutes),
        ("MAX_ENTRIES_PER_DAY", "3", lambda limits: limits.safety.max_entries_per_day),
        ("MAX_ENTRIES_PER_CYCLE", "2", lambda limits: limits.safety.max_entries_per_cycle),
        ("DAILY_LOSS_REDUCING_FRAC", "0.01", lambda limits: limits.safety.daily_loss_reducing_frac),
        ("DAILY_LOSS_HALT_FRAC", "0.03", lambda limits: limits.safety.daily_loss_halt_frac),
        ("IGNORE_DAILY_LOSS", "1", lambda limits: limits.safety.ignore_daily_loss),
        ("STOP_FLOOR_FRAC", "0.05", lambda limits: limits.exits.stop_floor_frac),
        ("TARGET_FRAC", "0.3", lambda limits: limits.exits.target_frac),
        ("MAX_HOLD_DAYS", "7", lambda limits: limits.exits.max_hold_days),
        ("CRYPTO_TAKER_FEE_FRAC", "0.001", lambda limits: limits.costs.taker_fee_frac),
        ("ASSUMED_SKILL", "0.05", lambda limits: limits.costs.skill),
        ("MIN_CONFIDENCE", "0.8", lambda limits: limits.signals.enter_confidence),
        ("EXIT_CONFIDENCE", "0.3", lambda limits: limits.signals.leave_confidence),
        ("MAX_QUOTE_AGE_S", "60", lambda limits: limits.signals.max_quote_age_s),
        ("MAX_SPREAD_FRAC", "0.01", lambda limits: limits.signals.max_spread_frac),
    ],
)
def test_variable_reaches_the_limit_it_names_and_the_config_version(name: str, value: str, read: object) -> None:
    """W-35, I-19: what is configured is what judges, and a report shows that it judged differently."""
    changed = loaded(**{name: value})

    assert callable(read)
    assert float(read(changed.limits)) == float(value)
    assert changed.config_version != loaded().config_version


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CRYPTO_SYMBOLS", "BTC/USD"),
        ("CRYPTO_TIMEFRAME", "4Hour"),
        ("MAX_DELAYED_QUOTE_AGE_S", "900"),
        ("STOCK_SYMBOLS", "AAPL,MSFT"),
        ("OPTION_UNDERLYINGS", "SPY"),
        ("OPTIONS_TRADING", "false"),
        ("CRYPTO_SESSIONS", "all 0-24 1.0 momentum"),
    ],
)
def test_universe_and_timeframe_change_the_config_version(name: str, value: str) -> None:
    assert loaded(**{name: value}).config_version != loaded().config_version


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALPACA_PAPER_API_KEY", "another"),
        ("ALPACA_PAPER_SECRET_KEY", "another"),
        ("ALPACA_BASE_URL", "http://127.0.0.1:8080"),
        ("K_REVISION", "crypto-cycle-00042"),
        ("LOG_LEVEL", "DEBUG"),
    ],
)
def test_secrets_and_places_do_not_change_the_config_version(name: str, value: str) -> None:
    assert loaded(**{name: value}).config_version == loaded().config_version


def test_config_version_is_short_and_stable() -> None:
    assert loaded().config_version == loaded().config_version
    assert len(loaded().config_version) == 12


def test_a_copy_with_another_limit_trades_by_it() -> None:
    settings = loaded()
    assert settings.limits.risk.max_symbol_frac == Decimal("0.15")

    stricter = settings.model_copy(update={"max_symbol_frac": Decimal("0.02")})

    assert stricter.limits.risk.max_symbol_frac == Decimal("0.02")
    assert settings.limits.risk.max_symbol_frac == Decimal("0.15")


def test_settings_can_be_shown_as_json() -> None:
    assert json.loads(loaded().model_dump_json())["max_positions"] == 25


def test_daily_halt_is_not_below_the_daily_brake() -> None:
    assert "DAILY_LOSS_HALT_FRAC" in problems(DAILY_LOSS_HALT_FRAC="0.01", DAILY_LOSS_REDUCING_FRAC="0.02")


def test_other_variables_of_the_environment_are_no_business_of_ours() -> None:
    assert loaded(PATH="/usr/bin", HOME="/root").max_positions == 25


@pytest.mark.parametrize("key", ["sk-pri\nvate", "sk private", '"sk-private"', "sk-pr\u00efvate"])
def test_a_key_that_cannot_be_sent_is_told_at_the_start_and_not_shown(key: str) -> None:
    told = problems(OPENAI_API_KEY=key)

    assert "OPENAI_API_KEY: " in told
    assert "vate" not in told


def test_a_key_from_a_file_loses_its_line_break_and_a_blank_one_is_none() -> None:
    key = loaded(OPENAI_API_KEY="sk-private\n").openai_api_key

    assert key is not None
    assert key.get_secret_value() == "sk-private"
    assert loaded(OPENAI_API_KEY=" \n").openai_api_key is None


def test_a_key_goes_over_a_line_that_nobody_can_read() -> None:
    assert "OPENAI_BASE_URL must begin with https://" in problems(OPENAI_BASE_URL="http://api.openai.com/v1")
    assert loaded(OPENAI_BASE_URL="http://127.0.0.1:9000/v1").openai_api_key is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LLM_MONTHLY_BUDGET_USD", "200.01"),
        ("LLM_RUN_BUDGET_USD", "5.01"),
        ("LLM_RUN_BUDGET_USD", "-1"),
        ("LLM_RUN_BUDGET_USD", "NaN"),
        ("LLM_INPUT_USD_PER_MILLION_TOKENS", "0"),
        ("OPENAI_DEADLINE_S", "71"),
        ("OPENAI_MODEL", "o4 mini"),
    ],
)
def test_what_a_model_may_cost_has_a_hard_maximum(name: str, value: str) -> None:
    assert name in problems(**{name: value})
