"""gcloud and firebase on PATH that record their calls, over a small project that they keep in a file."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

FAKE = """#!{python} -SE
import json, pathlib, sys
folder = pathlib.Path({folder!r})
state = json.loads((folder / "state.json").read_text())
arguments = sys.argv[1:]
with (folder / "calls").open("a") as calls:
    calls.write(json.dumps([{name!r}, *arguments]) + "\\n")
answer = state["answers"].get(" ".join(arguments[:4])) or state["answers"].get(" ".join(arguments[:3]))
if {name!r} == "firebase":
    if state["firebase"]:
        print("the build failed", file=sys.stderr)
        sys.exit(state["firebase"])
    state["answers"].update(state["after"])
    (folder / "state.json").write_text(json.dumps(state))
elif " ".join(arguments).startswith(tuple(state["fails"])):
    print("PERMISSION_DENIED", file=sys.stderr)
    sys.exit(1)
elif arguments[:2] == ["auth", "print-identity-token"]:
    print("a-token-for-a-test")
elif arguments[:2] == ["projects", "describe"]:
    print(123456789)
elif "--format=json" in arguments:
    print(json.dumps(answer or []))
"""


@dataclass(frozen=True)
class Cloud:
    """What the fakes know: `answers` by the first words of a command, what a deployment changes in them, the beginnings
    of those that fail."""

    folder: Path

    def set(self, *, answers: Any = None, after: Any = None, firebase: int = 0, fails: Sequence[str] = ()) -> None:
        state = {"answers": answers or {}, "after": after or {}, "firebase": firebase, "fails": list(fails)}
        (self.folder / "state.json").write_text(json.dumps(state))

    def calls(self) -> list[list[str]]:
        file = self.folder / "calls"
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []

    def changes(self) -> list[str]:
        """The calls that change something, as words."""
        return [" ".join(call) for call in self.calls() if "list" not in call and "print-identity-token" not in call]


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Cloud:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("gcloud", "firebase"):
        (programs / name).write_text(FAKE.format(python=sys.executable, folder=str(tmp_path), name=name))
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".firebaserc").write_text('{"projects": {"staging": "my-staging-1"}}')
    cloud = Cloud(tmp_path)
    cloud.set()
    return cloud
