"""`cronfolio intelligence`: reads the market once, as the scheduled function does, and shows what came of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any
from uuid import uuid4

import click
from rich.console import Console
from rich.text import Text

from cli.control import name_option, reason_option
from cli.state import absolute_state, existing_store, state_option
from cli.tables import PlainTable
from cli.words import count, money, signed_money, wide_console
from core.app import Instance
from core.cycle.intelligence import run_intelligence
from core.cycle.trial import unmute as lift
from core.cycle.world import CycleRequest
from core.errors import CronfolioError
from core.intelligence.signals import MARKETS
from core.settings import load

Row = Mapping[str, Any]
TALLIES = {
    "regimes": "regime {hits} of {n} right, Brier {mean:.2f} (0.67 claims nothing)",
    "opportunities": "opportunities {hits} of {n} above the market, {mean:+.2%} on average",
    "risks": "risky positions {hits} of {n} fell, {mean:+.2%} on average",
}
MOST_LEFT_OUT = 5
"""Reasons of missing facts that are told apart; the rest is counted."""


@click.group(invoke_without_command=True)
@state_option
@click.option("--dry-run", is_flag=True, help="Compute the facts only: nobody is asked and nothing is stored.")
@click.pass_context
def intelligence(context: click.Context, state: str, dry_run: bool) -> None:
    """Read the market: its facts, the signals on them, what they cost and change, and how earlier ones turned out.

    Needs the same settings as the functions, keys included. Without OPENAI_API_KEY there are facts and no opinions.
    """
    if context.invoked_subcommand is not None:
        return
    try:
        instance = Instance(load({**os.environ, "CRONFOLIO_STATE": absolute_state(state)}))
        request = CycleRequest(f"intelligence-manual-{uuid4().hex}", "intelligence", dry_run)
        report = run_intelligence(instance.world(), request, instance.adviser(), instance.outside)
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    show(report, wide_console())


@intelligence.command()
@click.argument("source")
@state_option
@reason_option
@name_option
def unmute(source: str, state: str, reason: str, name: str) -> None:
    """Let SOURCE count again, and ask it, from the next run on; its record begins anew."""
    try:
        lift(existing_store(state), source, reason=reason, by=name, at=datetime.now(UTC))
    except CronfolioError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{source} counts again from the next run on")


def show(report: Row, console: Console) -> None:
    """The report of a run, facts first."""
    console.print(Text(f"{report['status']}: {report['reasoning']}", style="bold"))
    facts: Sequence[Row] = report["facts"]
    console.print("", _market_facts(facts), "", _symbol_facts(facts), *_told_facts(facts), *_missing(facts), sep="\n")
    heard = f"{count(report['headlines'], 'headline')}. {report['headlines_missing']}".strip()
    console.print("", Text(heard), sep="\n")
    console.print("", Text("Signals and what they change", style="bold"))
    for signal in report["signals"]:
        about = f"{signal['kind']} {signal['symbol']}".strip().replace("_", " ")
        until = f"{signal['expires_at']:%Y-%m-%d %H:%M} UTC"
        console.print(
            f"{about}: {signal['value']}, confidence {signal['confidence']:.2f}, by {signal['source']}, until {until}: "
            f"{signal['effect'] or 'changes nothing'}"
        )
    console.print("", Text("Earlier opinions, a week later", style="bold"))
    console.print(*_trials(report["trials"]), sep="\n")
    console.print("", Text("Who was asked, and what it cost", style="bold"))
    for each in report["consultations"]:
        tokens = f"{each['input_tokens']:,} tokens in, {each['output_tokens']:,} out"
        answer = f"{each['status']}{': ' + each['reason'] if each['reason'] else ''}"
        console.print(f"{each['purpose']} ({each['model']}, {each['prompt_version']}): {answer}; {tokens}")
    if not report["consultations"]:
        console.print("nobody")
    for reason, n in report["rejected_by_reason"].items():
        console.print(f"rejected, {reason}: {count(n, 'signal')}")
    console.print(
        f"${report['cost_usd']} in all; {'nothing was stored' if report['outcome'] == 'dry_run' else 'stored'}"
    )


def _market_facts(facts: Iterable[Row]) -> PlainTable:
    rows = [
        (
            f"{fact['symbol']} {fact['name']}",
            f"{fact['value']:+.2%}",
            f"{fact['n']}",
            _day(fact["first"]),
            _day(fact["as_of"]),
        )
        for fact in facts
        if fact["symbol"] in MARKETS and fact["value"] is not None
    ]
    return PlainTable(("market", "value", "n", "from", "to"), rows, numbers=(False, True, True, False, False))


def _symbol_facts(facts: Iterable[Row]) -> PlainTable:
    known: dict[str, dict[str, str]] = {}
    for fact in facts:
        if fact["symbol"] not in MARKETS and fact["value"] is not None and fact["unit"] == "fraction":
            known.setdefault(fact["symbol"], {})[fact["name"]] = f"{fact['value']:+.1%}"
    names = tuple(dict.fromkeys(name for each in known.values() for name in each))
    rows = [(symbol, *(each.get(name, "") for name in names)) for symbol, each in known.items()]
    return PlainTable(("symbol", *names), rows, numbers=(False, *(True for _ in names)))


def _told_facts(facts: Iterable[Row]) -> list[Any]:
    """What optional sources and words say, each with its source."""
    rows = [
        (f"{fact['symbol']} {fact['name']}", f"{fact['value']:,.6g}", fact["unit"], f"{fact['n']}", fact["source"])
        for fact in facts
        if fact["value"] is not None and fact["unit"] != "fraction"
    ]
    heads = ("told by a source", "value", "unit", "n", "source")
    return ["", PlainTable(heads, rows, numbers=(False, True, False, True, False))] if rows else []


def _missing(facts: Iterable[Row]) -> list[str]:
    reasons: dict[str, list[str]] = {}
    for fact in facts:
        if fact["value"] is None:
            reasons.setdefault(fact["reason"], []).append(f"{fact['symbol']} {fact['name']}")
    told = [f"not known: {', '.join(names)}: {reason}" for reason, names in list(reasons.items())[:MOST_LEFT_OUT]]
    rest = sum(len(names) for names in list(reasons.values())[MOST_LEFT_OUT:])
    return ["", *told, *([f"and {count(rest, 'fact')} more"] if rest else [])] if reasons else []


def _trials(trials: Iterable[Row]) -> Iterator[str]:
    """What each source's opinions came to, with n and dates; and who is muted, and why."""
    for trial in trials:
        if trial["first"] is None:
            yield f"{trial['source']}: nothing is a week old yet"
            continue
        yield (
            f"{trial['source']}, {_day(trial['first'])} to {_day(trial['last'])}: {_of_tallies(trial)}, "
            f"{trial['unscored']} without a price; {_usd(trial, 'halved')} by halving, {_usd(trial, 'trimmed')} by "
            f"trims, {_usd(trial, 'picked')} at most by what it put first, cost {money(Decimal(trial['cost_usd']))}: "
            f"{_usd(trial, 'net')} in all"
        )
        if trial["muted_at"] is not None:
            yield f"{trial['source']} is muted since {_day(trial['muted_at'])}: {trial['muted_because']}"


def _of_tallies(trial: Row) -> str:
    """`regime 7 of 12 right, Brier 0.61 (0.67 claims nothing)`, and so on of what there is."""
    found = []
    for name, words in TALLIES.items():
        n, hits, total = (trial[name][each] for each in ("n", "hits", "total"))
        if n:
            found.append(words.format(n=n, hits=hits, mean=total / n))
    return ", ".join(found) or "no opinion"


def _usd(trial: Row, name: str) -> str:
    return signed_money(Decimal(trial[f"{name}_usd"]))


def _day(at: Any) -> str:
    return f"{at:%Y-%m-%d}"
