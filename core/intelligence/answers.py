"""The wall between a model's words and our signals: a closed schema, and a reason for all that does not pass it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError, create_model
from pydantic_core import from_json, to_json

from core.errors import CronfolioError
from core.intelligence.questions import shown
from core.intelligence.signals import MARKETS, VALUES, fault
from core.model.intelligence import Citation, FactSheet, Purpose, Signal

MAX_ANSWER_CHARACTERS = 60_000
MAX_REASONING_CHARACTERS = 800
MAX_OPINIONS = 5
"""Of opportunities and of news; of what is held there may be one each."""
MAX_CITATIONS = 10

CITATION_MARK = re.compile("\ue200[^\ue201]*\ue201")
"""What the model writes where a search result is cited, when its answer is JSON."""

Share = Annotated[float, Field(ge=0, le=1)]


class NoOpinion(CronfolioError):
    """Nothing came of the asking, and the message says why; it never holds text from outside."""


class _Closed(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


@dataclass(frozen=True, slots=True)
class Page:
    """A page that a search found, as the service names it."""

    title: str
    url: str


@dataclass(frozen=True, slots=True)
class Answers:
    """The answers that one question may have; without symbols there is nothing to ask."""

    purpose: Purpose
    sheet: FactSheet
    symbols: tuple[str, ...]
    opinion: type[BaseModel]
    schema: dict[str, Any]
    max_opinions: int


def answers(purpose: Purpose, sheet: FactSheet) -> Answers:
    """The closed answers to this question: its symbols and values are enums, and everything in it is required."""
    symbols = {Purpose.MARKET_REGIME: MARKETS, Purpose.POSITION_RISK: sheet.held}.get(purpose, sheet.universe)
    max_opinions = len(symbols) if purpose in (Purpose.MARKET_REGIME, Purpose.POSITION_RISK) else MAX_OPINIONS
    fields: dict[str, Any] = {
        "symbol": (Literal[tuple(symbols)] if symbols else str, ...),
        "value": (Literal[VALUES[purpose]], ...),
        "confidence": (Share, ...),
        "expires_at": (AwareDatetime, ...),
        "reasoning": (str, ...),
    }
    if purpose is Purpose.POSITION_RISK:
        fields["score"] = (Share, ...)
    if shown(sheet):
        fields["headlines"] = (list[int], ...)
    opinion = create_model("Opinion", __base__=_Closed, **fields)
    whole = create_model("Answer", __base__=_Closed, opinions=(list[opinion], Field(max_length=max_opinions)))  # type: ignore[valid-type]
    return Answers(purpose, sheet, tuple(symbols), opinion, whole.model_json_schema(), max_opinions)


def signals_of(
    text: str, allowed: Answers, *, source: str, pages: tuple[Page, ...] = ()
) -> tuple[tuple[Signal, ...], tuple[str, ...]]:
    """The signals in an answer, and a reason for each opinion in it that is not used; `NoOpinion` if it is no answer.

    What is said twice of one symbol is not used at all: one cannot know which is meant.
    """
    opinions = _opinions(text, allowed.max_opinions)
    signals: list[Signal] = []
    rejected: list[str] = []
    for opinion in opinions:
        try:
            signals.append(_signal(opinion, allowed, source, pages))
        except NoOpinion as why:
            rejected.append(str(why))
        except ValidationError as error:
            rejected.append(_misfit(error))
        except ValueError:
            rejected.append("an opinion that cannot be read")
    said = [signal.symbol for signal in signals]
    twice = {symbol for symbol in said if said.count(symbol) > 1}
    rejected += [f"{symbol} is judged twice" for symbol in said if symbol in twice]
    return tuple(signal for signal in signals if signal.symbol not in twice), tuple(rejected)


def _opinions(text: str, limit: int) -> list[Any]:
    if not text.strip():
        raise NoOpinion("the answer is empty")
    if len(text) > MAX_ANSWER_CHARACTERS:
        raise NoOpinion(f"the answer has {len(text)} characters, {MAX_ANSWER_CHARACTERS} are read")
    try:
        answer = from_json(text, allow_inf_nan=False)
    except ValueError:
        raise NoOpinion("the answer is not JSON") from None
    if not isinstance(answer, dict) or set(answer) != {"opinions"} or not isinstance(answer["opinions"], list):
        raise NoOpinion("the answer does not have the shape that was asked for")
    if len(answer["opinions"]) > limit:
        raise NoOpinion(f"the answer has {len(answer['opinions'])} opinions where at most {limit} were asked for")
    return answer["opinions"]


def _signal(raw: Any, allowed: Answers, source: str, pages: tuple[Page, ...]) -> Signal:
    """One opinion as a signal; `NoOpinion` or `ValidationError` if it is none."""
    sheet = allowed.sheet
    opinion = allowed.opinion.model_validate_json(to_json(raw)).model_dump()
    reasoning = _plain(opinion["reasoning"])
    if not reasoning or len(reasoning) > MAX_REASONING_CHARACTERS:
        raise NoOpinion(f"reasoning is not 1 to {MAX_REASONING_CHARACTERS} printable characters")
    headlines = shown(sheet)
    numbers = opinion.get("headlines", [])
    if any(not 0 <= number < len(headlines) for number in numbers) or len(set(numbers)) != len(numbers):
        raise NoOpinion("headlines names one that was not shown, or one twice")
    cited = [headlines[number] for number in numbers]
    citations = [
        Citation(_plain(line.text)[:200], line.url if _is_web(line.url) else "", line.published_at, sheet.as_of)
        for line in cited
    ] + [Citation(_plain(page.title)[:200], page.url, None, sheet.as_of) for page in pages if _is_web(page.url)]
    if allowed.purpose is Purpose.NEWS and not citations:
        raise NoOpinion("news without a source")
    signal = Signal(
        kind=allowed.purpose,
        symbol=opinion["symbol"],
        value=opinion["value"],
        confidence=opinion["confidence"],
        reasoning=reasoning,
        source=source,
        at=sheet.as_of,
        expires_at=opinion["expires_at"],
        score=opinion.get("score"),
        citations=tuple(citations[:MAX_CITATIONS]),
    )
    if (why := fault(signal, symbols=allowed.symbols, as_of=sheet.as_of)) is not None:
        raise NoOpinion(why)
    return signal


def _plain(text: str) -> str:
    """On one line, without citation marks; empty if characters remain that do not print or that steer the display."""
    line = " ".join(CITATION_MARK.sub("", text).split())
    return line if line.isprintable() else ""


def _is_web(url: str) -> bool:
    return url.startswith(("https://", "http://")) and url.isascii() and url.isprintable() and len(url) <= 500


def _misfit(error: ValidationError) -> str:
    """The field that does not fit, never its value or a name of its own, which strangers wrote."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if first["type"] == "extra_forbidden":
        return "an opinion has a field that was not asked for"
    return f"{first['loc'][0] if first['loc'] else 'an opinion'} does not fit: {first['type']}"
