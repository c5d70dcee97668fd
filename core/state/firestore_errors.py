"""What Firestore's failures mean to us: who lost a race, what is unknown, what must be put right."""

from __future__ import annotations

import re
from collections.abc import Sequence

from google.api_core import exceptions
from google.auth.exceptions import GoogleAuthError

from core.errors import Conflict, StoreUnavailable
from core.ports import Absent, AtVersion, Write

_NEXT_STEPS: dict[type[Exception], str] = {
    exceptions.PermissionDenied: "give the service account the role roles/datastore.user",
    exceptions.Unauthenticated: "check the service account's credentials",
    exceptions.NotFound: "create the database (Native mode) in this project",
    exceptions.FailedPrecondition: "deploy firestore.indexes.json; the database must be in Native mode",
}


def refused_commit(writes: Sequence[Write], error: exceptions.GoogleAPICallError) -> Exception:
    """A conflict naming the document whose precondition failed, or all candidates if the answer is silent."""
    kind = Absent if isinstance(error, exceptions.AlreadyExists) else AtVersion
    candidates = [one for one in writes if isinstance(one.require, kind)]
    if not candidates or (isinstance(error, exceptions.NotFound) and "/documents/" not in error.message):
        return failure(commit_of(writes), error)
    named = [one for one in candidates if _is_named(one, error.message)] or candidates
    wanted = "; ".join(f"{one.path} had to be {_required(one)}" for one in named)
    one_of = "" if len(named) == 1 else "one of these did not hold: "
    return Conflict(f"{one_of}{wanted}; read before deciding again (Firestore: {error.message})")


def commit_of(writes: Sequence[Write]) -> str:
    return f"commit {', '.join(one.path for one in writes)}"


def failure(action: str, error: Exception) -> StoreUnavailable | ValueError:
    """Doubt for all that may pass or may have happened; ValueError for a request that can never be served."""
    if isinstance(error, exceptions.RetryError) and error.cause is not None:
        return failure(action, error.cause)
    if isinstance(error, exceptions.InvalidArgument):
        return ValueError(f"Firestore refuses to {action}: {error.message}; change the documents")
    next_step = _NEXT_STEPS.get(type(error), "the outcome is unknown: read before deciding again")
    if isinstance(error, GoogleAuthError):
        next_step = "run `gcloud auth application-default login`, or set FIRESTORE_EMULATOR_HOST"
    return StoreUnavailable(f"Firestore did not {action}: {error}; {next_step}")


def _is_named(one: Write, message: str) -> bool:
    if re.search(rf"/{re.escape(one.path)}(?![\w\-.:])", message):
        return True
    # A failed update time is told as "the required base version (MICROSECONDS)", without the document.
    return isinstance(one.require, AtVersion) and f"({one.require.version.replace('.', '')[:-3]})" in message


def _required(one: Write) -> str:
    return f"at version {one.require.version}" if isinstance(one.require, AtVersion) else "absent"
