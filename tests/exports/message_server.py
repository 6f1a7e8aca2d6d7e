"""A small messaging service over real HTTP: it takes publish calls as the ARGO Messaging Service does."""

from __future__ import annotations

import base64
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "a-token-of-alice"
TOPIC = "/v1/projects/accounting/topics/grid:publish"
MOST_CALL_BYTES = 1_048_576


@dataclass
class Service:
    """What it took, and how it is to fail: after so many calls, with this status (0: it hangs up)."""

    url: str = ""
    published: list[tuple[str, bytes]] = field(default_factory=list)
    fails_after: int | None = None
    fails_with: int = 503
    says: bytes | None = None


def _handler(service: Service) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if service.fails_after is not None and len(service.published) >= service.fails_after:
                if service.fails_with == 0:
                    self.close_connection = True
                    return
                self._answer(service.fails_with, {"error": {"message": "not now"}})
            elif self.headers.get("x-api-key") != TOKEN:
                self._answer(401, {"error": {"code": 401, "message": "Unauthorized"}})
            elif self.path != TOPIC:
                self._answer(404, {"error": {"code": 404, "message": "Topic doesn't exist"}})
            elif len(body) > MOST_CALL_BYTES:
                self._answer(413, {"error": {"code": 413, "message": "Message size is too large"}})
            elif service.says is not None:
                self._write(200, service.says)
            else:
                numbers = []
                for message in json.loads(body)["messages"]:
                    service.published.append(
                        (message["attributes"]["empaid"], base64.b64decode(message["data"], validate=True))
                    )
                    numbers.append(str(len(service.published)))
                self._answer(200, {"messageIds": numbers})

        def _answer(self, status: int, said: dict[str, Any]) -> None:
            self._write(status, json.dumps(said).encode())

        def _write(self, status: int, data: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 (its name in the library)
            pass

    return Handler


@contextmanager
def messaging_service() -> Iterator[Service]:
    service = Service()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(service))
    service.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield service
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
