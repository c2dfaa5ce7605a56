"""The reference of the REST benchmark: a bare FastAPI route that runs the same SQL and returns ready bytes.

``python -m tests.benchmarks.rest_reference --data-dir D --address A``

A plain ``def`` route, run by FastAPI in its thread pool, without authentication, limits, headers or models.
It sends the very statements that MaiRust sends for that page, fetches every row, and answers with the bytes
that MaiRust answered once. uvicorn, uvloop and httptools are set as MaiRust sets them.
"""

from __future__ import annotations

import argparse
import json
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Response
from sqlalchemy import event

from mairust_core import wire
from mairust_core.app import Site, opened
from mairust_core.config import load_settings
from mairust_core.model.principal import Principal
from mairust_core.operations.calling import call_encoded
from mairust_core.services.messages import Messages
from tests.benchmarks.rest import LIMIT, PATH

SETTINGS: dict[str, Any] = {
    "loop": "uvloop", "http": "httptools", "ws": "none", "interface": "asgi3", "access_log": False,
    "proxy_headers": False, "server_header": False, "timeout_keep_alive": 75,
}  # fmt: skip
Statement = tuple[str, Any]


@contextmanager
def recorded(site: Site, into: list[Statement]) -> Any:
    """Keep the statements of a block with their parameters, but for those that begin a transaction."""

    def keep(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if statement.lstrip().upper().startswith("SELECT"):
            into.append((statement, parameters))

    event.listen(site.storage.engine, "before_cursor_execute", keep)
    yield
    event.remove(site.storage.engine, "before_cursor_execute", keep)


def create_reference(site: Site, address: str) -> FastAPI:
    """The application with the one route."""
    app = FastAPI(openapi_url=None)
    statements: list[Statement] = []
    with recorded(site, statements):
        messages = Messages(site, Principal.local("benchmark"))
        body = wire.render(call_encoded(Messages.operations["browse"], messages, [address], {"limit": LIMIT}))

    @app.get(PATH)
    def page(address: str, limit: int = LIMIT) -> Response:
        with site.storage.read() as tx:
            for statement, parameters in statements:
                tx.exec_driver_sql(statement, parameters).fetchall()
        return Response(body, media_type="application/json")

    return app


class _Told(uvicorn.Server):
    """Says where it listens, as `mairust serve --json` does."""

    async def startup(self, sockets: Any = None) -> None:
        await super().startup(sockets)
        host, port = self.servers[0].sockets[0].getsockname()[:2]
        print(json.dumps({"event": "ready", "smtp": "off:0", "http": f"{host}:{port}"}), flush=True)


def main() -> None:
    """Serve until told to stop."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--database")
    parser.add_argument("--address", required=True)
    options = parser.parse_args()
    settings = load_settings(
        data_dir=options.data_dir, env={}, overrides={"database.url": options.database or None}
    )
    with opened(settings) as site:
        config = uvicorn.Config(
            create_reference(site, options.address), **SETTINGS, host="127.0.0.1", port=0, log_config=None
        )
        _Told(config).run()


if __name__ == "__main__":
    main()
