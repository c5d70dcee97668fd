"""docs/operations.md taken apart: its commands, tables and sections, so that tests can follow them word for word."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "operations.md").read_text()
FENCE = re.compile(r"^```\n(.*?)^```$", re.DOTALL | re.MULTILINE)
PROSE = FENCE.sub("", PAGE)
SPAN = re.compile(r"`([^`\n]+)`")
PROGRAM = re.compile(
    r"(?:cronfolio|make|python|pip|curl|gcloud|firebase|ln|export|printf) .+|deploy/\S+\.sh.*|\.ci/run|(?:GET|POST) /.*"
)

CLOUD = re.compile(r"(gcloud|firebase|printf) .+|cronfolio (schedules|deploy|rollback|alerts)\b.*|deploy/.+")
LASTING = re.compile(
    r"make .+|\.ci/run|pip install -r .+|python -m (bench|tests)\..+|cronfolio ((backtest|chaos|sweep) .+|ml train)"
)
"""What a test only has parsed: what acts in Google Cloud, and what takes minutes or the network."""


def blocks() -> tuple[tuple[str, ...], ...]:
    """The lines of each fenced block, without empty ones and the comments at their ends."""
    return tuple(
        tuple(re.sub(r"\s+# .*", "", line) for line in block.splitlines() if line.strip())
        for block in FENCE.findall(PAGE)
    )


def commands() -> tuple[str, ...]:
    """Everything on the page that a person may type or send, each once: in blocks, tables and sentences."""
    spans = (span for span in SPAN.findall(PROSE) if PROGRAM.fullmatch(span))
    within = re.findall(r"\$\((\w+ [^)]+)\)", PROSE)
    return tuple(dict.fromkeys([*(line for block in blocks() for line in block), *spans, *within]))


def section(title: str) -> str:
    """The text below `## title`."""
    return PAGE.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def rows(title: str, heading: str) -> tuple[tuple[str, ...], ...]:
    """The cells of the table whose first column has this heading, in the section of this title."""
    lines = iter(section(title).splitlines())
    for line in lines:
        if line.startswith(f"| {heading} |"):
            break
    next(lines)
    found = []
    for line in lines:
        if not line.startswith("|"):
            break
        found.append(tuple(cell.strip() for cell in line.strip("|").split("|")))
    return tuple(found)


def spans(text: str) -> tuple[str, ...]:
    """What stands in backticks."""
    return tuple(SPAN.findall(text))
