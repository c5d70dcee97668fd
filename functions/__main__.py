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
from flask import Flask
from werkzeug.middleware.dispatcher import DispatcherMiddleware
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

HERE = Path(__file__).parent
NAMES = ("crypto_cycle", "stocks_cycle", "options_cycle")


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


def application() -> DispatcherMiddleware:
    """Each function as its own functions-framework app, mounted under its name."""
    os.environ.setdefault("GCLOUD_PROJECT", os.environ.get("GOOGLE_CLOUD_PROJECT") or "demo-cronfolio")
    os.environ.setdefault("FIREBASE_CONFIG", json.dumps({"projectId": os.environ["GCLOUD_PROJECT"]}))
    source = str(HERE / "main.py")
    apps = {f"/{name}": _at_root(functions_framework.create_app(name, source, "http").wsgi_app) for name in NAMES}
    return DispatcherMiddleware(Flask("cronfolio"), apps)


if __name__ == "__main__":
    main()
