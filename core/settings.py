"""Settings from the environment, under plain names; every problem is reported at once and no secret is ever printed."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal, InvalidOperation
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)

from core.documents import plain
from core.errors import CronfolioError
from core.model.limits import (
    Costs,
    ExitRules,
    Limits,
    OptionRules,
    RiskLimits,
    SafetyLimits,
    Session,
    SignalRules,
    StockRules,
)
from core.model.market import Timeframe
from core.model.universe import UNDERLYINGS, stock_symbols

CRYPTO_UNIVERSE = "BTC/USD,ETH/USD,LTC/USD,SOL/USD,DOT/USD,LINK/USD,AVAX/USD,UNI/USD,AAVE/USD"
CRYPTO_SESSIONS = (
    "asia 0-8 1.0 momentum breakout mean_reversion; "
    "europe 8-16 1.0 breakout momentum mean_reversion; "
    "us 16-24 1.0 mean_reversion momentum breakout"
)
LOCAL_STATE = "sqlite:///var/state.db"
LOCAL_HOSTS = ("127.0.0.1", "localhost")
PAPER_HOST = "paper-api.alpaca.markets"
LIVE_HOST = "api.alpaca.markets"
KNOWN_STRATEGIES = ("momentum", "breakout", "mean_reversion")


Kind = TypeVar("Kind")


class InvalidSettings(CronfolioError):
    """Settings that cannot be used; the message lists every problem with its variable."""


def _host(url: str) -> str:
    return (urlsplit(url).hostname or "").rstrip(".")


def _is_private(url: str) -> bool:
    parts = urlsplit(url)
    return (parts.scheme == "https" and bool(parts.hostname)) or (parts.scheme, parts.hostname) == ("http", "127.0.0.1")


def _without_version(url: str) -> str:
    """The host alone: Alpaca's own pages show it with a version, which our paths name themselves."""
    return url.rstrip("/").removesuffix("/v2")


def _listed(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


def _sessions(value: Any) -> Any:
    """`name start-end size strategy strategy; ...` as sessions."""
    if not isinstance(value, str):
        return value
    sessions = []
    for part in filter(None, (part.strip() for part in value.split(";"))):
        words = part.split()
        if len(words) < 4 or words[1].count("-") != 1:
            raise ValueError(f"session {part!r} is not 'name start-end size strategy ...'")
        start, end = words[1].split("-")
        try:
            session = Session(words[0], int(start), int(end), tuple(words[3:]), Decimal(words[2]))
        except (ValueError, InvalidOperation) as error:
            raise ValueError(f"session {part!r} needs whole hours and a number as its size") from error
        sessions.append(session)
    return tuple(sessions)


def _symbols(form: str, kind: str, wanted: str) -> AfterValidator:
    """All of them of this form, none named twice."""

    def checked(symbols: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [symbol for symbol in symbols if not re.fullmatch(form, symbol)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} is {wanted}")
        if len(set(symbols)) != len(symbols):
            raise ValueError(f"a {kind} is named twice")
        return symbols

    return AfterValidator(checked)


def _possible(sessions: tuple[Session, ...]) -> tuple[Session, ...]:
    """Sessions inside a day, of a size up to one, with strategies that exist."""
    problems = []
    for session in sessions:
        if not 0 <= session.start_hour < session.end_hour <= 24:
            problems.append(f"{session.name} has hours {session.start_hour}-{session.end_hour}")
        if not session.size_factor.is_finite() or not 0 < session.size_factor <= 1:
            problems.append(f"{session.name} has size {session.size_factor}; use 0 < size <= 1")
        for name in (name for name in session.strategies if name not in KNOWN_STRATEGIES):
            near = get_close_matches(name, KNOWN_STRATEGIES, 1)
            hint = f"did you mean {near[0]}?" if near else f"known are {', '.join(KNOWN_STRATEGIES)}"
            problems.append(f"{session.name} names strategy {name}; {hint}")
    if problems:
        raise ValueError("; ".join(problems))
    return sessions


def _webhook(url: SecretStr) -> SecretStr:
    """Where alarms go: an address that nobody on the way can read."""
    if url.get_secret_value() and not _is_private(url.get_secret_value()):
        raise ValueError("it must begin with https://, or with http://127.0.0.1 for a server on this machine")
    return url


def _sendable(key: SecretStr | None) -> SecretStr | None:
    """A key as a header can carry it, without the line break of a file; nothing but blanks is no key."""
    text = "" if key is None else key.get_secret_value().strip()
    if text and not re.fullmatch(r"[!#-&(-~]+", text):
        raise ValueError("it has a space, a quote, a line break or a letter beyond ASCII")
    return SecretStr(text) if text else None


Address = Annotated[str, AfterValidator(_without_version)]
Tickers = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    _symbols(r"[A-Z]{1,5}(\.[A-Z])?", "ticker", "no ticker like AAPL"),
]
Pairs = Annotated[
    tuple[str, ...],
    BeforeValidator(_listed),
    _symbols(r"[A-Z0-9]{1,15}/USD", "pair", "not of the form BTC/USD; only pairs quoted in dollars can be sized"),
]
Sessions = Annotated[tuple[Session, ...], BeforeValidator(_sessions), AfterValidator(_possible)]


class Settings(BaseModel):
    """Everything a deployment may choose. The bounds here are the hard maxima: no variable can go beyond them."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    alpaca_paper_api_key: SecretStr
    alpaca_paper_secret_key: SecretStr
    alpaca_base_url: Address = "https://paper-api.alpaca.markets"
    alpaca_data_url: Address = "https://data.alpaca.markets"
    alpaca_stream_url: str = Field(default="wss://stream.data.alpaca.markets", pattern="^wss?://.+$")
    cronfolio_state: str = Field(default=LOCAL_STATE, pattern=r"^(firestore|sqlite:///.+)$")
    cronfolio_blobs: str = Field(default="", pattern=r"^$|^(gs://.+|file:///.+)$")
    google_cloud_project: str = ""
    k_revision: str = "local"
    evidence: str = Field(default="all", pattern="^(all|plans)$")
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    alert_webhook_url: Annotated[SecretStr, AfterValidator(_webhook)] = SecretStr("")

    openai_api_key: Annotated[SecretStr | None, AfterValidator(_sendable)] = None
    openai_model: str = Field(default="o4-mini", pattern=r"^[A-Za-z0-9._:/-]{1,80}$")
    openai_base_url: str = "https://api.openai.com/v1"
    openai_deadline_s: float = Field(default=60, gt=0, le=70)
    # List prices of o4-mini and of the web search tool: https://developers.openai.com/api/docs/pricing
    llm_input_usd_per_million_tokens: Decimal = Field(default=Decimal("1.10"), gt=0, le=1000)
    llm_output_usd_per_million_tokens: Decimal = Field(default=Decimal("4.40"), gt=0, le=1000)
    llm_usd_per_search: Decimal = Field(default=Decimal("0.01"), ge=0, le=1)
    llm_monthly_budget_usd: Decimal = Field(default=Decimal("10"), ge=0, le=200)
    llm_run_budget_usd: Decimal = Field(default=Decimal("1"), ge=0, le=5)
    infrastructure_usd_per_month: Decimal | None = Field(default=None, ge=0, le=10_000)

    finnhub_api_key: Annotated[SecretStr | None, AfterValidator(_sendable)] = None
    alpha_vantage_api_key: Annotated[SecretStr | None, AfterValidator(_sendable)] = None
    yahoo_data: bool = False

    execution_enabled: bool = True
    alpaca_data_feed: str = Field(default="iex", pattern="^(iex|sip)$")
    alpaca_options_feed: str = Field(default="indicative", pattern="^(indicative|opra)$")
    crypto_trading: bool = True
    stocks_trading: bool = True
    options_trading: bool = True
    crypto_symbols: Pairs = Field(default_factory=lambda: _listed(CRYPTO_UNIVERSE), min_length=1, max_length=50)
    crypto_timeframe: Timeframe = Timeframe.DAY
    crypto_sessions: Sessions = Field(default_factory=lambda: _sessions(CRYPTO_SESSIONS), min_length=1)
    market_tier: int = Field(default=2, ge=1, le=4)
    stock_symbols: Tickers = ()
    option_underlyings: Tickers = Field(default=UNDERLYINGS, min_length=1, max_length=20)
    option_underlyings_per_cycle: int = Field(default=3, ge=1, le=20)
    settle_wait_s: float = Field(default=0, ge=0, le=20)
    monitor_stream_s: float = Field(default=0, ge=0, le=55)

    min_confidence: float = Field(default=0.65, ge=0.5, le=1)
    exit_confidence: float = Field(default=0.45, ge=0, le=0.5)
    max_quote_age_s: float = Field(default=300.0, gt=0, le=1800)
    max_delayed_quote_age_s: float = Field(default=1200.0, gt=0, le=1800)
    max_spread_frac: float = Field(default=0.02, gt=0, le=0.05)
    ignore_daily_loss: bool = False

    risk_per_trade_frac: Decimal = Field(default=Decimal("0.01"), gt=0, le=Decimal("0.02"))
    max_entry_frac: Decimal = Field(default=Decimal("0.05"), gt=0, le=Decimal("0.15"))
    max_symbol_frac: Decimal = Field(default=Decimal("0.15"), gt=0, le=Decimal("0.15"))
    cash_floor_frac: Decimal = Field(default=Decimal("0.10"), ge=Decimal("0.05"), lt=1)
    max_gross_frac: Decimal = Field(default=Decimal("1.00"), gt=0, le=Decimal("1.00"))
    max_stock_frac: Decimal = Field(default=Decimal("0.50"), gt=0, le=Decimal("0.50"))
    max_option_frac: Decimal = Field(default=Decimal("0.30"), gt=0, le=Decimal("0.30"))
    max_option_risk_frac: Decimal = Field(default=Decimal("0.10"), gt=0, le=Decimal("0.10"))
    max_sector_frac: Decimal = Field(default=Decimal("0.40"), gt=0, le=Decimal("0.40"))
    max_correlated_frac: Decimal = Field(default=Decimal("0.40"), gt=0, le=Decimal("0.40"))
    max_positions: int = Field(default=25, ge=1, le=25)
    symbol_cooldown_minutes: int = Field(default=5, ge=5, le=1440)
    max_symbol_trades_per_hour: int = Field(default=2, ge=1, le=2)
    max_entries_per_5_minutes: int = Field(default=2, ge=1, le=5)
    max_entries_per_cycle: int = Field(default=1, ge=1, le=5)
    max_entries_per_day: int = Field(default=10, ge=1, le=50)
    daily_loss_reducing_frac: Decimal = Field(default=Decimal("0.02"), gt=0, le=Decimal("0.02"))
    daily_loss_halt_frac: Decimal = Field(default=Decimal("0.05"), gt=0, le=Decimal("0.05"))
    stop_floor_frac: float = Field(default=0.10, gt=0, le=0.15)
    target_frac: float = Field(default=0.20, gt=0, le=1)
    max_hold_days: float = Field(default=21.0, gt=0, le=365)
    crypto_taker_fee_frac: Decimal = Field(default=Decimal("0.0025"), ge=0, le=Decimal("0.01"))
    assumed_skill: float = Field(default=0.10, gt=0, le=0.2)

    @model_validator(mode="after")
    def _fits_together(self) -> Settings:
        problems = []
        if _host(self.alpaca_base_url) == LIVE_HOST:
            problems.append(
                f"ALPACA_BASE_URL is {LIVE_HOST}, a real-money account, and Cronfolio trades paper only for now; "
                f"unset it or use https://{PAPER_HOST}"
            )
        if self.daily_loss_halt_frac < self.daily_loss_reducing_frac:
            problems.append("DAILY_LOSS_HALT_FRAC is below DAILY_LOSS_REDUCING_FRAC")
        if self.cronfolio_state == "firestore" and not self.google_cloud_project:
            problems.append("GOOGLE_CLOUD_PROJECT is not set, and CRONFOLIO_STATE=firestore needs it")
        if self.cronfolio_state == "firestore" and not self.cronfolio_blobs:
            problems.append(
                "CRONFOLIO_BLOBS is not set, and CRONFOLIO_STATE=firestore needs a gs:// bucket or a folder"
            )
        if not _is_private(self.openai_base_url):
            problems.append("OPENAI_BASE_URL must begin with https://, or with http://127.0.0.1 on this machine")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @property
    def alpaca_keys(self) -> dict[str, str]:
        """`key` and `secret` as the adapters take them."""
        keys = {"key": self.alpaca_paper_api_key, "secret": self.alpaca_paper_secret_key}
        return {name: value.get_secret_value() for name, value in keys.items()}

    @property
    def origin(self) -> str:
        """Where the figures come from: `paper`, or `replay` for a venue of our own."""
        return "paper" if _host(self.alpaca_base_url) == PAPER_HOST else "replay"

    @property
    def is_on_this_machine(self) -> bool:
        """Whether the broker is a venue of our own, whose time is not this machine's."""
        return _host(self.alpaca_base_url) in LOCAL_HOSTS

    def model_copy(self, **how: Any) -> Settings:
        """A copy has limits of its own."""
        copied = super().model_copy(**how)
        copied.__dict__.pop("limits", None)
        return copied

    @cached_property
    def limits(self) -> Limits:
        """The limits in the judgement's own terms."""
        return Limits(
            risk=self._named_alike(RiskLimits),
            safety=self._named_alike(SafetyLimits),
            exits=self._named_alike(ExitRules),
            costs=Costs(taker_fee_frac=self.crypto_taker_fee_frac, skill=self.assumed_skill),
            signals=self._named_alike(
                SignalRules, enter_confidence=self.min_confidence, leave_confidence=self.exit_confidence
            ),
            sessions=self.crypto_sessions,
            stocks=StockRules(max_market_tier=self.market_tier),
            options=OptionRules(
                underlyings_per_cycle=self.option_underlyings_per_cycle, max_quote_age_s=self.max_delayed_quote_age_s
            ),
        )

    def _named_alike(self, kind: type[Kind], **others: Any) -> Kind:
        """Limits of a kind: what has a variable of its name as that says, anything else as the kind itself does."""
        return kind(
            **{name: getattr(self, name) for name in kind.__annotations__ if name in Settings.model_fields}, **others
        )

    def limits_of(self, module: str) -> Limits:
        """The limits of one module's cycle; its entries may be switched off, its exits never."""
        enabled = {"crypto": self.crypto_trading, "stocks": self.stocks_trading, "options": self.options_trading}
        limits = self.limits
        signals = limits.signals
        if module == "stocks":
            signals = replace(signals, max_quote_age_s=self.max_delayed_quote_age_s)
        return replace(limits, signals=signals, safety=replace(limits.safety, are_entries_enabled=enabled[module]))

    @property
    def traded_stocks(self) -> tuple[str, ...]:
        """The stocks to look at: those that were named, else every tier up to MARKET_TIER."""
        return self.stock_symbols or stock_symbols(self.market_tier)

    @property
    def config_version(self) -> str:
        """A short hash of every limit and universe choice; two runs with the same one judged alike."""
        choice = {
            "limits": plain(self.limits),
            "symbols": [*self.crypto_symbols, *self.traded_stocks, *self.option_underlyings],
            "timeframe": self.crypto_timeframe.value,
            "delayed_quote_age_s": self.max_delayed_quote_age_s,
            "modules": [self.crypto_trading, self.stocks_trading, self.options_trading],
        }
        return hashlib.sha256(json.dumps(choice, sort_keys=True).encode()).hexdigest()[:12]


def load(environ: Mapping[str, str]) -> Settings:
    """The settings an environment describes; `InvalidSettings` names every variable that is wrong or missing.

    An empty variable counts as not set. In Google Cloud (K_SERVICE is set) the state is Firestore's unless named, and
    the project is the function's own. A venue on this machine needs no real keys, and streams its quotes itself.
    """
    given = {name.lower(): value for name, value in environ.items() if value != ""}
    if given.get("openai_api_key") == "none":
        # A deployed function's secret must exist; this is how it says that nobody is to be asked.
        del given["openai_api_key"]
    if "k_service" in given:
        given.setdefault("cronfolio_state", "firestore")
    if "gcloud_project" in given:
        given.setdefault("google_cloud_project", given["gcloud_project"])
    if _host(given.get("alpaca_base_url", "")) in LOCAL_HOSTS:
        for key in ("alpaca_paper_api_key", "alpaca_paper_secret_key"):
            given.setdefault(key, "local-venue")
    if _host(given.get("alpaca_data_url", "")) in LOCAL_HOSTS:
        given.setdefault("alpaca_stream_url", f"ws{_without_version(given['alpaca_data_url']).removeprefix('http')}")
    try:
        return Settings.model_validate({name: given[name] for name in Settings.model_fields if name in given})
    except ValidationError as error:
        problems = [line for item in error.errors(include_input=False) for line in _problem(item).splitlines()]
        raise InvalidSettings("the settings cannot be used:\n" + "\n".join(f"- {line}" for line in problems)) from None


def _problem(item: Any) -> str:
    """One validation error in words, without the value, which may be a secret."""
    name = str(item["loc"][0]).upper() if item["loc"] else ""
    if item["type"] == "missing":
        return f"{name} is not set"
    return f"{name}: {item['msg']}" if name else item["msg"].removeprefix("Value error, ")
