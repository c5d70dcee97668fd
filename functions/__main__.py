"""`python -m functions --port P`: every function at /NAME on 127.0.0.1, through functions-framework as deployed."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import functions_framework
from flask import Flask, Response
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import WSGIRequestHandler, make_server

from core.schedules import JOBS

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HOSTS = ("127.0.0.1", "localhost")
HERE = Path(__file__).parent
NAMES = (*(job.function for job in JOBS), "ops")


class QuietHandler(WSGIRequestHandler):
    """Keeps connections open and leaves the log to the functions themselves."""

    protocol_version = "HTTP/1.1"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        return


def main() -> None:
    """Serve until ended; prints one line once the port is open."""
    parser = argparse.ArgumentParser(prog="python -m functions", description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    server = make_server("127.0.0.1", port, application(), threaded=True, request_handler=QuietHandler)
    sys.stderr.write(f"functions: {', '.join(f'http://127.0.0.1:{server.port}/{name}' for name in NAMES)}\n")
    server.serve_forever()


def _at_root(app: WSGIApplication) -> WSGIApplication:
    """Serve `/NAME` as the function's root, as the platform does; without this Flask redirects to `/NAME/`."""

    def rooted(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        return app({**environ, "PATH_INFO": environ["PATH_INFO"] or "/"}, start_response)

    return rooted


def _for_this_machine(app: WSGIApplication) -> WSGIApplication:
    """Refuse what was asked of another host: a web page may have its own name lead to this machine."""

    def checked(environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        host = str(environ.get("HTTP_HOST", ""))
        if host.partition(":")[0].lower() in HOSTS:
            return app(environ, start_response)
        error = f"{host!r} is not this machine; ask {' or '.join(HOSTS)}"
        refused = Response(json.dumps({"error": error}) + "\n", 403, content_type="application/json")
        return refused(environ, start_response)

    return checked


def application() -> WSGIApplication:
    """Each function as its own functions-framework app, mounted under its name, for callers on this machine."""
    os.environ.setdefault("GCLOUD_PROJECT", os.environ.get("GOOGLE_CLOUD_PROJECT") or "demo-cronfolio")
    os.environ.setdefault("FIREBASE_CONFIG", json.dumps({"projectId": os.environ["GCLOUD_PROJECT"]}))
    source = str(HERE / "main.py")
    apps = {f"/{name}": _at_root(functions_framework.create_app(name, source, "http").wsgi_app) for name in NAMES}
    return _for_this_machine(DispatcherMiddleware(Flask("cronfolio"), apps))


if __name__ == "__main__":
    main()
