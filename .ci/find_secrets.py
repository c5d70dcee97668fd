"""Secrets in what git has or would take. Exit status 1 where one is found that .ci/secrets.baseline does not know.

`python .ci/find_secrets.py [FILE]...` looks; with `--accept` it writes the baseline anew, once each finding has been
seen to be no secret.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from detect_secrets.core.scan import scan_file
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.settings import transient_settings

ROOT = Path(__file__).parent.parent
BASELINE = Path(__file__).with_name("secrets.baseline")
INVENTED = ("tests/", "bench/")
"""Where keys are made up, a variable named like a secret proves nothing; what looks like a key still does."""


class AlpacaKeyDetector(RegexBasedDetector):
    """Key ids of paper and live accounts."""

    secret_type = "Alpaca key"
    denylist = (re.compile(r"\b[PAC]K[A-Z0-9]{18}\b"),)


PLUGINS = [
    {"name": "AlpacaKeyDetector", "path": f"file://{Path(__file__).resolve()}"},
    {"name": "AWSKeyDetector"},
    {"name": "Base64HighEntropyString", "limit": 4.5},
    {"name": "BasicAuthDetector"},
    {"name": "GitHubTokenDetector"},
    {"name": "HexHighEntropyString", "limit": 3.0},
    {"name": "JwtTokenDetector"},
    {"name": "KeywordDetector"},
    {"name": "OpenAIDetector"},
    {"name": "PrivateKeyDetector"},
    {"name": "SlackDetector"},
]


def main() -> int:
    """The exit status, with a line for each new finding."""
    arguments = [argument for argument in sys.argv[1:] if argument != "--accept"]
    found = sorted(set(findings(arguments or _files())))
    if "--accept" in sys.argv:
        lines = sorted({f"{file} {kind} {digest}" for file, kind, digest, _ in found})
        BASELINE.write_text("\n".join(lines) + "\n")
        return 0
    known = set(BASELINE.read_text().splitlines())
    new = [one for one in found if " ".join(one[:3]) not in known]
    for file, kind, _, line in new:
        print(f"{file}:{line}: {kind}; take it out of the file, and revoke it if it was ever real")
    return 1 if new else 0


def findings(files: list[str]) -> Iterator[tuple[str, str, str, int]]:
    """(file, kind, digest of the secret, line); a generated lock of digests is not looked at."""
    with transient_settings({"plugins_used": PLUGINS}):
        for file in files:
            for one in scan_file(file):
                if not (one.type == "Secret Keyword" and file.startswith(INVENTED)):
                    yield file, one.type.replace(" ", "-"), one.secret_hash, one.line_number


def _files() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    return [name for name in listed if name and (ROOT / name).is_file()]


if __name__ == "__main__":
    sys.exit(main())
