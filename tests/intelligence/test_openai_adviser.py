"""The adviser through the real client: what is asked, what becomes of each kind of answer, and what it costs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import timedelta
from decimal import Decimal

import pytest

from core.model.intelligence import Citation, Purpose, Signal
from tests.intelligence.asking import KEY, NOW, UNIVERSE, Advising, answer, headline, opinion, risk, sheet
from tests.intelligence.service import Reply, Service, failure, message, reply, usage

openai = pytest.importorskip("openai")

Adviser = Callable[..., Advising]
ONE_ANSWER_USD = Decimal("0.0033")
"""1,000 tokens in at $1.10 and 500 out at $4.40 a million."""


def test_a_sound_answer_becomes_a_signal_that_costs_its_list_price(service: Service, advising: Adviser) -> None:
    service.will(reply(answer(opinion())))
    asking = advising()

    heard = asking.consult()

    assert (heard.status, heard.reason, heard.rejected) == ("valid", "", ())
    assert heard.signals == (
        Signal(
            kind=Purpose.MARKET_REGIME,
            symbol="stocks",
            value="bearish",
            confidence=0.7,
            reasoning="SPY is under its mean.",
            source="o4-mini",
            at=NOW,
            expires_at=NOW + timedelta(hours=6),
        ),
    )
    assert (heard.input_tokens, heard.output_tokens, heard.cost_usd) == (1000, 500, ONE_ANSWER_USD)
    assert heard.prompt_version == "market_regime.v1"
    assert asking.spent_usd() == ONE_ANSWER_USD


def test_the_request_is_bounded_closed_and_not_kept_at_the_service(service: Service, advising: Adviser) -> None:
    service.will(reply(answer()))

    advising().consult(Purpose.POSITION_RISK)

    (asked,) = service.requests
    form = asked["text"]["format"]
    (said,) = form["schema"]["$defs"].values()
    assert (asked["model"], asked["max_output_tokens"], asked["store"]) == ("o4-mini", 6000, False)
    assert not {"temperature", "tools", "stream"} & set(asked)
    assert (form["type"], form["strict"]) == ("json_schema", True)
    assert said["properties"]["symbol"]["enum"] == ["AAPL", "BTC/USD"]
    assert said["properties"]["value"]["enum"] == ["low", "medium", "high"]
    assert set(said["required"]) == set(said["properties"])
    assert said["additionalProperties"] is form["schema"]["additionalProperties"] is False
    assert '"facts":[["","trend",0.0312,"fraction",70' in asked["input"]


def test_news_searches_the_web_and_cites_what_the_reply_itself_names(service: Service, advising: Adviser) -> None:
    text = answer(opinion("AAPL", "bearish", reasoning="A recall.\ue200cite\ue202turn0search1\ue201"))
    part = {
        "type": "output_text",
        "text": text,
        "annotations": [
            {"type": "url_citation", "url": "https://a.example/x", "title": "Recall", "start_index": 0, "end_index": 1},
            {"type": "file_citation", "file_id": "f", "filename": "f", "index": 0},
            {"type": "url_citation", "url": "javascript:alert(1)", "title": "x", "start_index": 0, "end_index": 1},
        ],
    }
    search = {
        "type": "web_search_call",
        "id": "ws_1",
        "status": "completed",
        "action": {"type": "search", "query": "AAPL", "sources": [{"type": "url", "url": "https://b.example/y"}]},
    }
    opened = {"type": "web_search_call", "id": "ws_2", "status": "completed", "action": {"type": "open_page"}}
    service.will(reply(None, output=[search, opened, message(part)]))

    heard = advising().consult(Purpose.NEWS)

    (signal,) = heard.signals
    assert signal.reasoning == "A recall."
    assert signal.citations == (
        Citation("Recall", "https://a.example/x", None, NOW),
        Citation("https://b.example/y", "https://b.example/y", None, NOW),
    )
    assert heard.cost_usd == ONE_ANSWER_USD + Decimal("0.01")
    (asked,) = service.requests
    assert asked["tools"][0]["type"] == "web_search"
    assert asked["max_tool_calls"] == 3


def test_news_without_any_source_is_no_opinion(service: Service, advising: Adviser) -> None:
    service.will(reply(answer(opinion("AAPL", "bearish"))))

    heard = advising().consult(Purpose.NEWS)

    assert (heard.status, heard.rejected) == ("no_opinion", ("news without a source",))


def test_a_headline_is_cited_with_the_time_its_source_gave(service: Service, advising: Adviser) -> None:
    older, future = headline("Older.", at=NOW - timedelta(hours=3)), headline("Not yet.", at=NOW + timedelta(minutes=1))
    service.will(reply(answer(risk(headlines=[0]), risk("BTC/USD", headlines=[1]))))

    heard = advising().consult(Purpose.POSITION_RISK, sheet(future, older))

    (signal,) = heard.signals
    assert signal.citations == (Citation("Older.", older.url, older.published_at, NOW),)
    assert heard.rejected == ("headlines names one that was not shown, or one twice",)
    assert "Not yet." not in service.requests[0]["input"]


def test_one_bad_opinion_does_not_take_the_good_ones_with_it(service: Service, advising: Adviser) -> None:
    service.will(reply(answer(risk(), risk("BTC/USD", confidence="0.9"))))

    heard = advising().consult(Purpose.POSITION_RISK)

    assert [signal.symbol for signal in heard.signals] == ["AAPL"]
    assert heard.rejected == ("confidence does not fit: float_type",)


def test_without_positions_there_is_nothing_to_ask(service: Service, advising: Adviser) -> None:
    asking = advising()

    heard = asking.consult(Purpose.POSITION_RISK, sheet(held=()))

    assert (heard.status, heard.reason) == ("no_opinion", "there is no symbol to ask about")
    assert service.requests == []
    assert asking.spent_usd() == 0


REFUSAL = reply(None, output=[message({"type": "refusal", "refusal": "I cannot."})])
CUT = reply('{"opinions": [{"symbol": "st', status="incomplete", incomplete_details={"reason": "max_output_tokens"})
FILTERED = reply(None, status="incomplete", incomplete_details={"reason": "content_filter"})
FAILED = reply(None, status="failed", error={"code": "server_error", "message": "x"})
TWICE = reply(None, output=[message({"type": "output_text", "text": answer(opinion())})] * 2)
ASIDE = reply(None, output=[message({"type": "output_text", "text": answer(opinion())}, phase="commentary")])


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (REFUSAL, "the model refused to answer"),
        (CUT, "the answer is cut off: max_output_tokens"),
        (FILTERED, "the answer is cut off: content_filter"),
        (FAILED, "the model failed"),
        (reply(None, status="in_progress"), "the reply is not complete"),
        (reply(None), "the reply has 0 answers where one was asked for"),
        (TWICE, "the reply has 2 answers where one was asked for"),
        (ASIDE, "the reply has 0 answers where one was asked for"),
        (reply(""), "the answer is empty"),
        (reply("```json\n" + answer(opinion()) + "\n```"), "the answer is not JSON"),
    ],
)
def test_an_answer_that_is_none_is_no_opinion_and_costs_what_it_took(
    body: bytes, reason: str, service: Service, advising: Adviser
) -> None:
    """I-58, I-71: unavailable is a value, and never a default opinion."""
    service.will(body)
    asking = advising()

    heard = asking.consult()

    assert (heard.status, heard.reason, heard.signals) == ("no_opinion", reason, ())
    assert heard.cost_usd == asking.spent_usd() == ONE_ANSWER_USD


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"<html>504 Gateway Time-out</html>",
        b'{"status": "completed"}',
        b"\xff\xfe\x00",
        b'{"id": "resp_1", "status": "completed", "output": "none"}',
        b"[" * 100_000,
        reply(answer(opinion()), usage=None),
        reply(answer(opinion()), usage=usage(-1, 5)),
        reply(answer(opinion()), usage={"input_tokens": "1", "output_tokens": "1"}),
    ],
    ids=range(11),
)
def test_a_reply_that_does_not_say_what_it_took_is_booked_at_its_worst(
    body: bytes, service: Service, advising: Adviser
) -> None:
    service.will(body)
    asking = advising()

    heard = asking.consult()

    assert heard.cost_usd == asking.spent_usd() == asking.worst_usd()
    assert not heard.signals or b"opinions" in body


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (400, "HTTP 400: the request was refused; OPENAI_MODEL may not know structured output or web search"),
        (401, "HTTP 401: the key was refused; check OPENAI_API_KEY"),
        (403, "HTTP 403: the key may not do this; check its permissions"),
        (404, "HTTP 404: the model is not open to this key; check OPENAI_MODEL"),
        (429, "HTTP 429: rate limited, or out of credit"),
        (302, "HTTP 302: the service failed"),
    ],
)
def test_a_refused_request_says_what_to_check(status: int, told: str, service: Service, advising: Adviser) -> None:
    service.will(failure(status, "code", f"Incorrect API key provided: {KEY}", location="http://127.0.0.1:9/v1"))
    asking = advising()

    heard = asking.consult()

    assert heard.reason == told
    assert heard.cost_usd == asking.spent_usd() == (0 if status >= 400 else asking.worst_usd())
    assert len(service.requests) == (3 if status == 429 else 1)


def test_a_rate_limit_is_waited_out_as_the_service_says(service: Service, advising: Adviser) -> None:
    service.will(failure(429, "rate_limit_exceeded", retry_after="0.01"), Reply(reply(answer(opinion()))))
    asking = advising()

    heard = asking.consult()

    assert (heard.status, len(service.requests)) == ("valid", 2)
    assert heard.cost_usd == ONE_ANSWER_USD


def test_a_wait_beyond_the_deadline_is_not_waited(service: Service, advising: Adviser) -> None:
    service.will(Reply(b"{}", 429, {"retry-after": "60"}))

    heard = advising(OPENAI_DEADLINE_S="0.3").consult()

    assert heard.reason == "no answer within 0.3 s"
    assert heard.cost_usd == 0


def test_an_attempt_that_failed_may_have_been_billed(service: Service, advising: Adviser) -> None:
    service.will(failure(500, "server_error"), Reply(reply(answer(opinion()))))
    asking = advising()

    heard = asking.consult()

    assert heard.status == "valid"
    assert heard.cost_usd == asking.spent_usd() == ONE_ANSWER_USD + asking.worst_usd()


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (failure(500, "server_error"), "HTTP 500: the service failed"),
        (failure(503, "overloaded"), "HTTP 503: the service failed"),
        (Reply(act="drop"), "the connection failed or was lost"),
        (Reply(reply(answer(opinion())), act="cut"), "the connection failed or was lost"),
    ],
)
def test_what_stays_down_is_asked_three_times_and_booked_as_lost(
    bad: Reply, told: str, service: Service, advising: Adviser
) -> None:
    service.will(bad)
    asking = advising()

    heard = asking.consult()

    assert (heard.reason, heard.signals, len(service.requests)) == (told, (), 3)
    assert heard.cost_usd == asking.spent_usd() == asking.worst_usd() * 3


def test_silence_ends_at_the_deadline(service: Service, advising: Adviser) -> None:
    service.will(Reply(act="hang"))
    asking = advising(OPENAI_DEADLINE_S="0.3")

    heard = asking.consult()

    assert (heard.reason, heard.signals) == ("no answer within 0.3 s", ())
    assert heard.cost_usd == asking.worst_usd() * len(service.requests)


def test_a_question_that_never_left_costs_nothing(service: Service, advising: Adviser) -> None:
    asking = advising(OPENAI_BASE_URL="http://127.0.0.1:9/v1")

    heard = asking.consult()

    assert heard.reason == "the connection failed or was lost"
    assert heard.cost_usd == asking.spent_usd() == 0


def test_without_the_package_there_is_no_opinion(
    service: Service, advising: Adviser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """I-34: what is optional is never needed."""
    monkeypatch.setitem(sys.modules, "openai", None)

    heard = advising().consult()

    assert heard.reason == "the package openai is not installed; install requirements.txt"
    assert heard.cost_usd == 0


def test_the_client_streams_from_this_service_too(service: Service) -> None:
    """The stand-in speaks the protocol that the client expects, not one of its own."""
    text = answer(opinion())
    service.will(reply(text))

    with openai.OpenAI(api_key=KEY, base_url=service.url) as client:
        with client.responses.stream(model="o4-mini", input="x") as stream:
            pieces = [event.delta for event in stream if event.type == "response.output_text.delta"]
            final = stream.get_final_response()
        whole = client.responses.create(model="o4-mini", input="x")

    assert ("".join(pieces), final.output_text, whole.output_text) == (text, text, text)
    assert final.usage is not None
    assert final.usage.output_tokens == 500


def test_prompt_and_universe_are_what_the_answer_is_held_to(service: Service, advising: Adviser) -> None:
    service.will(reply(answer(*(opinion(symbol, "buy") for symbol in (*UNIVERSE, "SCAM")))))

    heard = advising().consult(Purpose.OPPORTUNITY)

    assert [signal.symbol for signal in heard.signals] == list(UNIVERSE)
    assert heard.rejected == ("symbol does not fit: literal_error",)
    assert json.dumps(UNIVERSE, separators=(",", ":")) in service.requests[0]["input"]
