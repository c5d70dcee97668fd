"""A reply of the Responses API read strictly: its text, the pages it found, and what it took.

Shapes: https://developers.openai.com/api/docs/api-reference/responses/object
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.intelligence.answers import NoOpinion, Page
from core.intelligence.budget import Usage

Count = Annotated[int, Field(ge=0)]
FINAL_ANSWER = "final_answer"
KNOWN_CUTS = ("max_output_tokens", "content_filter")


class _Wire(BaseModel):
    model_config = ConfigDict(strict=True, frozen=True)


class _Tokens(_Wire):
    input_tokens: Count
    output_tokens: Count


class _Searches(_Wire):
    num_requests: Count = 0


class _Tools(_Wire):
    web_search: _Searches | None = None


class _Source(_Wire):
    url: str = ""
    title: str = ""
    type: str = ""


class _Part(_Wire):
    type: str
    text: str = ""
    annotations: list[_Source] | None = None


class _Action(_Wire):
    type: str = ""
    sources: list[_Source] | None = None


class _Item(_Wire):
    type: str
    phase: str | None = None
    content: list[_Part] | None = None
    action: _Action | None = None


class _Cut(_Wire):
    reason: str | None = None


class Reply(_Wire):
    status: str
    output: list[_Item]
    usage: _Tokens | None = None
    tool_usage: _Tools | None = None
    incomplete_details: _Cut | None = None

    def taken(self) -> Usage | None:
        """What it took, or None where it does not say. Each search that it shows counts, named or not."""
        if self.usage is None:
            return None
        told = self.tool_usage.web_search.num_requests if self.tool_usage and self.tool_usage.web_search else 0
        calls = [item for item in self.output if item.type == "web_search_call"]
        seen = sum(call.action is None or call.action.type == "search" for call in calls)
        return Usage(self.usage.input_tokens, self.usage.output_tokens, max(told, seen))

    def answer(self) -> tuple[str, tuple[Page, ...]]:
        """The one answer, and the pages it cites or searched, cited ones first; `NoOpinion` if there is none."""
        if self.status == "incomplete":
            cut = self.incomplete_details.reason if self.incomplete_details else None
            raise NoOpinion(f"the answer is cut off: {cut if cut in KNOWN_CUTS else 'no known reason'}")
        if self.status != "completed":
            raise NoOpinion("the model failed" if self.status == "failed" else "the reply is not complete")
        messages = [item for item in self.output if item.type == "message" and item.phase in (None, FINAL_ANSWER)]
        parts = [part for message in messages for part in message.content or ()]
        if any(part.type == "refusal" for part in parts):
            raise NoOpinion("the model refused to answer")
        texts = [part for part in parts if part.type == "output_text"]
        if len(texts) != 1:
            raise NoOpinion(f"the reply has {len(texts)} answers where one was asked for")
        cited = [note for note in texts[0].annotations or () if note.type == "url_citation"]
        searched = [source for item in self.output if item.action for source in item.action.sources or ()]
        pages = {source.url: Page(source.title or source.url, source.url) for source in reversed([*cited, *searched])}
        return texts[0].text, tuple(reversed(pages.values()))


def reply_of(body: bytes) -> Reply:
    """`NoOpinion` for anything that is not one."""
    try:
        return Reply.model_validate_json(body)
    except ValidationError:
        raise NoOpinion("the reply is not one of the Responses API") from None
