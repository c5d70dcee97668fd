"""docs/operations.md is followed word for word: what can be run on one machine is run, the rest is parsed beside."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.processes import free_port
from core.documents import document
from core.ml.models import FAMILIES
from core.ml.optimiser import Change, applied
from core.ml.registry import train
from core.ports import Write
from core.schedules import JOBS
from core.state.folder import FolderBlobs
from core.state.sqlite import SqliteStore
from tests.docs.local_machine import WITHIN_S, Machine, is_served, machine
from tests.docs.operations_page import CLOUD, LASTING, PAGE, blocks, commands, rows, spans
from tests.ml.planted import samples

LOCAL: dict[str, str] = {}
"""Which test runs a command of the page."""
CALL, HALT, CONFIGURE = (
    next(command for command in commands() if place in command)
    for place in ("localhost:8080/crypto_cycle", "localhost:8080/ops/halt", "/v2/account/configurations")
)
STACK = next(block for block in blocks() if block[0].startswith("python -m venue"))
KEYS = {"ALPACA_PAPER_API_KEY": "local-venue", "ALPACA_PAPER_SECRET_KEY": "local-venue"}


def follows(*typed: str) -> Callable[[Any], Any]:
    """The test runs these commands of the page."""

    def known(test: Any) -> Any:
        LOCAL.update(dict.fromkeys(typed, test.__name__))
        return test

    return known


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """The local stack as the page starts it, on its second day, when BTC was bought; a drill runs beside it."""
    with machine(tmp_path_factory.mktemp("machine")) as found:
        found.beside = found.start(["cronfolio", "halt-drill"])
        found.follow(STACK)
        found.post("9100/venue/advance", {"to": "2018-06-02T00:00:00Z"})
        found.type('curl -s -X POST localhost:8080/crypto_cycle -d \'{"run_id": "buys"}\'')
        found.post("9100/venue/advance", {"seconds": 86400})
        yield found


def test_every_command_is_run_or_parsed() -> None:
    sorts = {
        command: (command in LOCAL) + bool(CLOUD.fullmatch(command)) + bool(LASTING.fullmatch(command))
        for command in commands()
    }

    assert [command for command, n in sorts.items() if n != 1] == []
    assert set(LOCAL) - set(sorts) == set()
    assert (len(sorts) > 80, PAGE.count("```")) == (True, 2 * len(blocks()))


@follows(*STACK)
def test_the_local_stack_serves_the_recording_and_keeps_its_state_where_it_is_told(local: Machine) -> None:
    clock = local.type("curl -s localhost:9100/venue/clock").answer

    assert set(clock["recording"]["symbols"]) == {"BTC/USD", "ETH/USD", "AAPL", "SPY"}
    assert (local.folder / "var/local/state.db").is_file()


@follows(CALL)
def test_a_function_is_called_by_hand_and_answers_the_statuses(local: Machine) -> None:
    before = local.type("curl -s localhost:9100/venue/ledger").answer["orders"]
    dry = local.type(CALL).answer
    again = local.type('curl -s -X POST localhost:8080/crypto_cycle -d \'{"run_id": "buys"}\'').answer
    named = {row[0]: row[1] for row in rows("Calling a function", "status")}
    refused = [
        local.type(f"curl -s -o shown -w '%{{http_code}}' localhost:8080/{request}").shown
        for request in ("crypto_cycle -d {", "crypto_cycle -H 'Host: another.test'", "crypto_cycle/x", "crypto_cycle")
    ]

    assert dry["outcome"] == "dry_run"
    assert again["outcome"] == "replayed"
    assert local.type("curl -s localhost:9100/venue/ledger").answer["orders"] == before
    assert refused == ["400", "403", "404", "405"]
    assert all(outcome in named["200"] for outcome in ("done", "replayed", "superseded", "busy", "dry_run"))
    assert named["400, 401, 403, 404, 405"] == "refused; nothing was done"


@follows('POST /venue/advance {"seconds": N}', "GET /venue/ledger", "POST /venue/faults")
def test_the_venues_clock_is_moved_and_it_misbehaves_when_asked(local: Machine) -> None:
    assert '`{"to": "2018-06-02T00:00:00Z"}`' in PAGE
    moved = local.post("9100/venue/advance", {"seconds": 60})
    stood = [local.type("curl -s localhost:9100/venue/clock").answer["timestamp"] for _ in range(2)]
    local.post("9100/venue/faults", {"path": "/v2/account", "action": "status:500"})
    keys = "-H 'APCA-API-KEY-ID: any' -H 'APCA-API-SECRET-KEY: any'"
    broken, mended = (
        local.type(f"curl -s -o shown -w '%{{http_code}}' {keys} localhost:9100/v2/account").shown for _ in range(2)
    )

    assert stood == [moved["timestamp"]] * 2
    assert (broken, mended) == ("500", "200")
    assert {"orders", "fills", "fees_usd", "cash_usd"} <= set(local.type("curl -s localhost:9100/venue/ledger").answer)


@follows(CONFIGURE)
def test_an_account_that_may_sell_short_is_made_long_only(local: Machine) -> None:
    alpaca, port = "https://paper-api.alpaca.markets", free_port()
    local.serve(f"python -m venue --port {port} --data crypto-daily --start 2018-06-01T00:00:00Z --shorting")
    here = CONFIGURE.replace(alpaca, f"http://127.0.0.1:{port}").replace("$KEY", "any").replace("$SECRET", "any")
    before = local.type(here.replace("-X PATCH", "-X GET").partition(" -d ")[0]).answer["no_shorting"]

    assert alpaca in CONFIGURE
    assert (before, local.type(here).answer["no_shorting"]) == (False, True)


@follows("cronfolio data list", "cronfolio data fetch NAME")
def test_recordings_are_listed_and_one_that_is_there_is_not_fetched_again(local: Machine) -> None:
    listed = local.cronfolio("cronfolio data list")
    fetched = local.cronfolio("cronfolio data fetch crypto-daily")

    assert listed.status == fetched.status == 0
    assert re.search(r"^crypto-daily +fetched", listed.shown, re.MULTILINE)
    assert "crypto-daily is already in" in fetched.shown


def ended_by_a_person(process: subprocess.Popen[str], last: str) -> str:
    """What a program showed until its line `last`; then Ctrl-C, which must end it well."""
    assert process.stdout is not None
    shown = ""
    while last not in shown:
        line = process.stdout.readline()
        assert line, shown
        shown += line
    process.send_signal(signal.SIGINT)
    rest, _ = process.communicate(timeout=WITHIN_S)
    assert (process.returncode, "ended" in rest) == (0, True), rest
    return shown


@follows("cronfolio stack")
def test_the_stack_delivers_what_is_due_and_ctrl_c_ends_all(local: Machine) -> None:
    own = {"ALPACA_PAPER_API_KEY": "mine", "CRONFOLIO_STATE": "sqlite:///mine.db"}
    shown = ended_by_a_person(local.start(["cronfolio", "stack"], **own), "00:01:00 UTC  position_monitor")

    ports = [int(port) for port in re.findall(r"(?:venue|functions) +http://127\.0\.0\.1:(\d+)", shown)]
    assert "60 s at the venue in a second here" in shown
    assert (len(ports), [is_served(port) for port in ports]) == (2, [False, False])
    assert not (local.folder / "mine.db").exists()


@follows("cronfolio run")
def test_run_delivers_every_declared_job_from_this_machine(local: Machine) -> None:
    shown = ended_by_a_person(
        local.start(["cronfolio", "run"], **KEYS, CRONFOLIO_STATE="sqlite:///run.db"), "Ctrl-C ends"
    )

    assert [job.name for job in JOBS if f"{job.name}: {job.cron} {job.time_zone}" not in shown] == []


@follows(
    *('cronfolio halt --reason "..."', 'cronfolio resume --reason "..."', "cronfolio halt", "cronfolio resume"),
)
def test_a_halt_and_a_resume_ask_for_a_reason_and_a_yes(local: Machine) -> None:
    assert local.cronfolio("cronfolio halt").status == 2
    asked = local.cronfolio('cronfolio halt --reason "..."')
    assert (asked.status, "[y/N]" in asked.shown) == (1, True)

    found = []
    for command in ('cronfolio halt --reason "..."', 'cronfolio halt --all --reason "..."'):
        assert local.cronfolio(f"{command} --yes").status == 0
        found.append(local.get("/safety")["mode"]["mode"])
        assert local.cronfolio('cronfolio resume --reason "..." --yes').status == 0
        found.append(local.get("/safety")["mode"]["mode"])

    assert found == ["REDUCING", "ACTIVE", "HALTED", "ACTIVE"]


def routes() -> tuple[tuple[str, str], ...]:
    """Method and path of every route in the table of `ops`, with a body or query where one is shown."""
    named = (span for row in rows("Health and ops routes", "route") for span in spans(row[0]))
    return tuple(("GET", span) if span.startswith("/") else tuple(span.split(" ", 1)) for span in named)  # type: ignore[misc]


@follows(
    "GET /openapi.json",
    HALT,
    *(f"{method} {path}" for method, path in routes() if f"`{method} {path}`" in PAGE),
)
def test_every_route_of_ops_answers_as_the_table_has_it(local: Machine) -> None:
    described = local.get("/openapi.json")
    served = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    told = {(method, re.split(r"[? ]", path)[0]) for method, path in routes()}

    assert told | {("GET", "/openapi.json")} == served
    for method, path in routes():
        if method == "GET":
            asked = path.replace("{id}", "crypto_cycle-manual-buys").removesuffix("&cursor=")
            shown = local.type(f"curl -s -w '\\n%{{http_code}}' 'localhost:8080/ops{asked}'").shown
            assert shown.endswith("\n200"), (asked, shown)
    halted = local.type(HALT).answer
    assert (halted["mode"], halted["reason"], "anna" in halted["by"]) == ("REDUCING", "news", True)
    refused = post(local, 'POST /safety/reset {"reason", "by"}')
    assert "error" in refused
    assert post(local, 'POST /halt {"reason", "by", "all"}')["mode"] == "HALTED"
    assert post(local, 'POST /resume {"reason", "by"}')["mode"] == "ACTIVE"
    assert post(local, 'POST /emergency {"action": "cancel", "reason", "by"}')["is_done"] is True


def post(local: Machine, line: str) -> Any:
    """A route as it stands in the table: names without a value get one."""
    assert f"`{line}`" in PAGE
    _, path, shape = line.split(" ", 2)
    valued = re.sub(r'("(?:reason|by)")(?=[,}])', r'\1: "a person"', re.sub(r'("all")(?=})', r"\1: true", shape))
    return local.post(f"8080/ops{path}", json.loads(valued))


@follows("cronfolio emergency cancel", "cronfolio emergency flatten")
@follows(
    'POST /emergency {"action": "cancel", "reason", "by"}',
    'POST /emergency {"action": "flatten", "confirm": "flatten", "reason", "by"}',
)
def test_an_emergency_cancels_and_then_sells_until_nothing_is_left(local: Machine) -> None:
    assert local.cronfolio("cronfolio emergency cancel").status == 2
    shown = local.cronfolio('cronfolio emergency cancel --reason "..." --dry-run')
    asked = local.cronfolio('cronfolio emergency cancel --reason "..."')
    canceled = local.cronfolio('cronfolio emergency cancel --reason "..." --yes')
    still_active = local.get("/safety")["mode"]["mode"]
    sold = local.cronfolio('cronfolio emergency flatten --reason "..." --yes --wait 0')
    local.post("9100/venue/advance", {"seconds": 86400})
    again = post(local, 'POST /emergency {"action": "flatten", "confirm": "flatten", "reason", "by"}')
    reduced = local.get("/safety")["mode"]["mode"]
    local.cronfolio("cronfolio resume --reason over --yes")

    assert (shown.status, "To cancel: " in shown.shown) == (0, True)
    assert (asked.status, "[y/N]" in asked.shown) == (1, True)
    assert (canceled.status, "the broker lists 0 open orders" in canceled.shown) == (0, True)
    assert (still_active, reduced) == ("ACTIVE", "REDUCING")
    assert "To close at market: 1 position." in sold.shown
    assert (sold.status, "Left:" in sold.shown) == (1, True)
    assert again["is_done"] is True
    assert local.type("curl -s localhost:9100/venue/ledger").answer["positions"] == []
    assert post(local, 'POST /emergency {"action": "cancel", "reason", "by"}')["is_done"] is True


@follows("cronfolio status", "cronfolio report", "cronfolio drift", "cronfolio performance", "cronfolio monitor")
@follows("cronfolio report --week 2026-W47")
def test_what_is_looked_at_is_told(local: Machine) -> None:
    status, report, drift = (local.cronfolio(f"cronfolio {name}") for name in ("status", "report", "drift"))
    elsewhere = local.cronfolio("cronfolio status --state sqlite:///nowhere.db")

    assert (status.status, report.status, drift.status, elsewhere.status) == (0, 0, 0, 1)
    assert all(words in status.shown for words in ("Trading mode:", "Last finished cycle:", "Open trades:"))
    assert "What these figures cannot tell" in report.shown
    week = local.cronfolio("cronfolio report --week 2026-W47")
    assert (week.status, "there is no report of week 2026-W47" in week.shown) == (1, True)
    assert "Win rate" in local.cronfolio("cronfolio performance").shown
    assert "Trading mode:" in local.cronfolio("cronfolio monitor --once").shown
    asked = re.findall(r"^(/v\S+)", drift.shown, re.MULTILINE)
    assert (len(asked), "ask thirteen small questions" in PAGE) == (13, True)
    assert "there is no store at nowhere.db" in elsewhere.shown


@follows('cronfolio adopt --reason "..."', "cronfolio adopt")
def test_adopting_begins_the_books_anew_and_wants_a_reason(local: Machine) -> None:
    local.cronfolio("cronfolio halt --reason settling --yes")
    for _ in range(2):
        local.post("9100/venue/advance", {"seconds": 86400})
        local.type("curl -s -X POST localhost:8080/crypto_cycle")
    adopted = local.cronfolio('cronfolio adopt --reason "..."')
    stays = local.get("/safety")["mode"]["mode"]
    local.cronfolio("cronfolio resume --reason over --yes")

    assert (adopted.status, "begin anew with $" in adopted.shown) == (0, True), adopted.shown
    assert local.cronfolio("cronfolio adopt").status == 2
    assert stays == "REDUCING"


@follows("cronfolio intelligence", 'cronfolio intelligence unmute SOURCE --reason "..."')
def test_the_market_is_read_and_stored_unless_it_is_a_dry_run(local: Machine) -> None:
    dry = local.cronfolio("cronfolio intelligence --dry-run")
    before = local.get("/intelligence")["last_run"]
    read = local.cronfolio("cronfolio intelligence")
    run = local.get("/intelligence")["last_run"]
    unmuted = local.cronfolio('cronfolio intelligence unmute openai --reason "..."')

    assert (dry.status, read.status) == (0, 0)
    assert dry.shown.rstrip().endswith("nothing was stored")
    assert read.shown.rstrip().endswith("$0 in all; stored")
    assert run != before
    assert run["status"] == "computed"
    assert {"headlines_missing", "headlines_dropped"} <= set(run)
    assert (unmuted.status, "openai is not muted" in unmuted.shown) == (1, True)


@follows("cronfolio canary FUNCTION --url URL --revision NAME")
@follows(
    *("cronfolio replay CYCLE_ID", "cronfolio replay CYCLE_ID --what-if max_entry_pct=2"),
    "cronfolio replay --from 2018-06-01 --to 2018-07-01",
)
def test_a_cycle_is_decided_again_and_under_another_limit(local: Machine) -> None:
    cycle_id, state = "crypto_cycle-manual-buys", f"--state {local.env['CRONFOLIO_STATE']}"

    one = local.cronfolio(f"cronfolio replay {cycle_id} {state}")
    other = local.cronfolio(f"cronfolio replay {cycle_id} --what-if max_entry_pct=2 {state}")
    all_of_june = local.cronfolio(f"cronfolio replay --from 2018-06-01 --to 2018-07-01 {state}")

    assert (one.status, one.shown.strip()) == (0, f"{cycle_id}: identical, 1 order")
    assert "1 entry resized" in other.shown
    assert (all_of_june.status, "identical" in all_of_june.shown) == (0, True), all_of_june.shown


def test_the_canary_passes_only_as_the_revision_that_is_named(local: Machine) -> None:
    call = "cronfolio canary crypto_cycle --url http://localhost:8080/crypto_cycle --revision"

    assert (local.cronfolio(f"{call} local").status, local.cronfolio(f"{call} another").status) == (0, 1)


@pytest.fixture(scope="module")
def trained(local: Machine) -> str:
    """A store in which trainings on planted signals are kept, which the gate lets through."""
    folder = local.folder / "var" / "ml"
    folder.mkdir(parents=True)
    store, families = SqliteStore(folder / "state.db"), [each for each in FAMILIES if each.name == "gradient_boosting"]
    known, at = samples(600, seed=7, signal=1.5), datetime(2024, 3, 1, tzinfo=UTC)
    found = train(store, FolderBlobs(folder / "blobs"), "crypto", known, families, at=at, revision="r1", seed=0)
    store.commit([Write("ml_candidates/stocks", document(replace(found, name="stocks"), account_id="all"))])
    figures, why = (None, 0.8, 250, 200, 60, 0.01, 0.001, 0.02), "it would have earned more"
    applied(store, Change("ID", "stocks", "confidence_threshold", *figures, why, at, at, "learn"))
    return f"sqlite:///{folder / 'state.db'}"


@follows(
    *("cronfolio ml evaluate", "cronfolio ml explain", "cronfolio ml promote NAME", "cronfolio ml rollback NAME"),
    *("cronfolio ml status", "cronfolio ml samples --out FILE"),
    *("cronfolio ml parameters list", "cronfolio ml parameters revert ID"),
)
def test_models_are_evaluated_explained_promoted_and_taken_back(local: Machine, trained: str) -> None:
    done = {
        command: local.cronfolio(f"cronfolio ml {command} --state {trained}")
        for command in (
            *("evaluate", "explain", "promote crypto", "status", "rollback crypto", "status crypto"),
            *("samples --out bars.parquet", "samples --traded --out trades.parquet"),
            *("parameters list", "parameters revert ID"),
        )
    }
    after = local.cronfolio(f"cronfolio ml status --state {trained}").shown

    assert {command: it.shown for command, it in done.items() if it.status and command != "status crypto"} == {}
    evaluated = done["evaluate"].shown
    assert all(words in evaluated for words in ("rate's", "flat", "passes the gate")), evaluated
    assert [(local.folder / f"var/ml/{name}.html").is_file() for name in ("crypto", "stocks")] == [True, True]
    assert "gradient_boosting of crypto is in force" in done["promote crypto"].shown
    assert "crypto: gradient_boosting" in done["status"].shown
    assert "crypto: no model is in force" in after
    assert "ID: as configured -> 0.8, lapsed; it would have earned more" in done["parameters list"].shown
    assert "confidence_threshold of stocks is as configured again" in done["parameters revert ID"].shown
    assert sorted(file.name for file in local.folder.glob("*.parquet")) == [
        *("bars-crypto.parquet", "bars-stocks.parquet", "trades.parquet")
    ]


@follows("ln -s ../.venv functions/venv")
def test_the_link_that_firebase_wants_leads_to_the_virtual_environment(local: Machine) -> None:
    for folder in ("functions", ".venv"):
        (local.folder / folder).mkdir()

    assert local.type("ln -s ../.venv functions/venv").status == 0
    assert (local.folder / "functions/venv").resolve() == (local.folder / ".venv").resolve()


@follows("cronfolio halt-drill")
def test_the_drill_shows_that_entries_stop_and_exits_go_on(local: Machine) -> None:
    assert local.beside is not None
    shown, _ = local.beside.communicate(timeout=WITHIN_S)

    assert local.beside.returncode == 0, shown
    assert re.search(r"entries sent +0\b.*first entry refused +\S+ after .*first exit sent +\S+:", shown, re.DOTALL)
