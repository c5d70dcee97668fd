"""The adviser behind OpenAI's Responses API: one bounded and budgeted call a question, no opinion in doubt."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import structlog

from core.documents import document, parsed
from core.errors import BadFacts, StoreUnavailable
from core.intelligence.answers import Answers, NoOpinion, answers, signals_of
from core.intelligence.budget import ANY_ACCOUNT, Budget, Usage, budget_path, cost_usd
from core.intelligence.questions import Question, question
from core.intelligence.replies import reply_of
from core.model.intelligence import NO_OPINION, VALID, Consultation, FactSheet, Purpose
from core.ports import Document, Store, Write
from core.settings import Settings

log = structlog.get_logger()

MAX_OUTPUT_TOKENS = 6_000
"""Reasoning included: what the model thinks is billed as output."""
MAX_RETRIES = 2
"""By the client, after 408, 409, 429, 5xx, time-outs and lost connections, with its backoff or as Retry-After says."""
ATTEMPT_SHARE = 0.6
"""An attempt may take so much of the deadline, so that a lost one leaves time for another."""
MAX_SEARCHES = 3
SEARCH_INPUT_TOKENS = 128_000
"""What a search can put before the model: its context with the tool is limited to this.
https://developers.openai.com/api/docs/guides/tools-web-search"""
OVERHEAD_TOKENS = 500
"""What the service adds around the text; generous."""
REFUSED = {
    400: "the request was refused; OPENAI_MODEL may not know structured output or web search",
    401: "the key was refused; check OPENAI_API_KEY",
    403: "the key may not do this; check its permissions",
    404: "the model is not open to this key; check OPENAI_MODEL",
    429: "rate limited, or out of credit",
}


class OpenAIAdviser:
    """The port `Adviser`. The client is imported with the first question; `elapsed_s` is monotonic.

    A valid answer is kept until the first of its opinions expires, and the same question then costs nothing.
    """

    def __init__(self, settings: Settings, store: Store, *, elapsed_s: Callable[[], float]) -> None:
        self.source = settings.openai_model
        self._settings, self._store, self._elapsed_s = settings, store, elapsed_s
        self._budget = Budget(store, month_usd=settings.llm_monthly_budget_usd, run_usd=settings.llm_run_budget_usd)

    def consult(self, purpose: Purpose, sheet: FactSheet) -> Consultation:
        model = self._settings.openai_model
        allowed = answers(purpose, sheet)
        asked = question(purpose, sheet, model=model, schema=allowed.schema)
        silence = Consultation(purpose, model, asked.prompt_version, asked.input_hash, at=sheet.as_of)
        try:
            if not allowed.symbols:
                raise NoOpinion("there is no symbol to ask about")
            kept, spending = self._read(asked, sheet)
            if (answer := _still_valid(kept, sheet)) is not None:
                return answer
            worst_usd = cost_usd(self._settings, most_usage(asked, allowed)) * (1 + MAX_RETRIES)
            self._budget.reserve(worst_usd, sheet.as_of, spending)
        except NoOpinion as why:
            return replace(silence, reason=str(why))
        return self._asked(asked, allowed, silence, worst_usd)

    def _read(self, asked: Question, sheet: FactSheet) -> tuple[Document | None, Document | None]:
        try:
            kept, spending = self._store.read([_cache_path(asked), budget_path(sheet.as_of)])
        except (StoreUnavailable, BadFacts) as error:
            raise NoOpinion(f"budget: it cannot be read, so nothing is spent: {error}") from error
        return kept, spending

    def _asked(self, asked: Question, allowed: Answers, silence: Consultation, worst_usd: Decimal) -> Consultation:
        """Ask, and book what it took whatever came of it."""
        meter = _Meter()
        started_s = self._elapsed_s()
        answer = silence
        try:
            reply = reply_of(asyncio.run(self._reply(asked, allowed, meter)))
            meter.usage = reply.taken()
            text, pages = reply.answer()
            signals, rejected = signals_of(text, allowed, source=self.source, pages=pages)
            answer = replace(answer, status=VALID, signals=signals, rejected=rejected)
            if rejected and not signals:
                answer = replace(answer, status=NO_OPINION, reason="no opinion in the answer can be used")
        except NoOpinion as why:
            answer = replace(answer, reason=str(why))
        usage, lost = meter.usage or Usage(0, 0), meter.unanswered - (meter.usage is not None)
        used_usd = cost_usd(self._settings, usage) + lost * worst_usd / (1 + MAX_RETRIES)
        answer = replace(
            answer,
            latency_ms=round((self._elapsed_s() - started_s) * 1000, 1),
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cost_usd=used_usd,
        )
        self._budget.settle(worst_usd, used_usd, answer.at, [_kept(asked, answer)] if answer.signals else [])
        return answer

    async def _reply(self, asked: Question, allowed: Answers, meter: _Meter) -> bytes:
        """The reply's bytes, whatever is in them; `NoOpinion` if there is none before the deadline."""
        try:
            import httpx2
            import openai
        except ImportError:
            raise NoOpinion("the package openai is not installed; install requirements.txt") from None

        class Metered(openai.DefaultAsyncHttpxClient):
            """Counts the attempts that may be billed: all but those that never left or were refused."""

            async def send(self, *args: Any, **options: Any) -> httpx2.Response:
                meter.unanswered += 1
                try:
                    response = await super().send(*args, **options)
                except (httpx2.ConnectError, httpx2.ConnectTimeout):
                    meter.unanswered -= 1
                    raise
                meter.unanswered -= 400 <= response.status_code < 500 and response.status_code != 408
                return response

        settings = self._settings
        deadline_s = settings.openai_deadline_s
        key = settings.openai_api_key
        try:
            async with (
                asyncio.timeout(deadline_s),
                openai.AsyncOpenAI(
                    api_key=key.get_secret_value() if key is not None else "",
                    base_url=settings.openai_base_url,
                    timeout=deadline_s * ATTEMPT_SHARE,
                    max_retries=MAX_RETRIES,
                    http_client=Metered(follow_redirects=False),
                ) as client,
            ):
                request = _request(asked, allowed, settings.openai_model)
                body: bytes = (await client.responses.with_raw_response.create(**request)).content
                return body
        except TimeoutError:
            raise NoOpinion(f"no answer within {deadline_s:g} s") from None
        except openai.APITimeoutError:
            raise NoOpinion("no answer in time, however often it was asked") from None
        except openai.APIConnectionError:
            raise NoOpinion("the connection failed or was lost") from None
        except openai.APIStatusError as error:
            status = error.status_code
            raise NoOpinion(f"HTTP {status}: {REFUSED.get(status, 'the service failed')}") from None
        except openai.OpenAIError as error:
            raise NoOpinion(f"the client gave up: {type(error).__name__}") from None


def most_usage(asked: Question, allowed: Answers) -> Usage:
    """What one attempt takes at most: a token has at least one byte, so bytes bound tokens."""
    searches = MAX_SEARCHES if asked.purpose is Purpose.NEWS else 0
    searched_tokens = SEARCH_INPUT_TOKENS if searches else 0
    input_tokens = asked.input_bytes + len(json.dumps(allowed.schema)) + OVERHEAD_TOKENS + searched_tokens
    return Usage(input_tokens, MAX_OUTPUT_TOKENS, searches)


@dataclass(slots=True)
class _Meter:
    """Attempts that may be billed, the answered one among them, and what that one says it took."""

    unanswered: int = 0
    usage: Usage | None = None


def _request(asked: Question, allowed: Answers, model: str) -> dict[str, Any]:
    """The body of POST /responses. No temperature: reasoning models refuse one. Nothing is stored at the service."""
    form = {"type": "json_schema", "name": asked.purpose.value, "strict": True, "schema": allowed.schema}
    request: dict[str, Any] = {
        "model": model,
        "instructions": asked.instructions,
        "input": asked.text,
        "text": {"format": form},
        "max_output_tokens": MAX_OUTPUT_TOKENS,
        "store": False,
    }
    if asked.purpose is Purpose.NEWS:
        request |= {
            "tools": [{"type": "web_search", "search_context_size": "low"}],
            "max_tool_calls": MAX_SEARCHES,
            # An answer in JSON often carries no annotations, and then these are its citations.
            "include": ["web_search_call.action.sources"],
        }
    return request


def _cache_path(asked: Question) -> str:
    return f"intelligence_cache/{asked.input_hash}"


def _kept(asked: Question, answer: Consultation) -> Write:
    expires_at = min(signal.expires_at for signal in answer.signals)
    return Write(_cache_path(asked), document(answer, account_id=ANY_ACCOUNT, expires_at=expires_at))


def _still_valid(kept: Document | None, sheet: FactSheet) -> Consultation | None:
    """The kept answer to the same question, if none of it has expired and none of it comes from the future."""
    if kept is None:
        return None
    try:
        answer = parsed(Consultation, kept)
    except BadFacts as error:
        log.warning("kept_answer_unreadable", reason=str(error))
        return None
    if not answer.signals or any(not signal.at <= sheet.as_of < signal.expires_at for signal in answer.signals):
        return None
    return replace(
        answer, at=sheet.as_of, is_cached=True, cost_usd=Decimal(0), input_tokens=0, output_tokens=0, latency_ms=0.0
    )
