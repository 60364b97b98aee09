"""A server of the files of a folder on loopback, by Python's own web server."""

from __future__ import annotations

import ssl
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Self

_LOOK = 0.02


class _Handler(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        pass  # a caller without a certificate, or one that has given up


class FileServer:
    """A file server as a context manager, over https with a TLS context.

    `asked` are all requested paths; a request for one of `elsewhere` is redirected to the address given there. With
    `gzip_is_encoding` files `*.gz` are declared as a content encoding, as some web servers do.
    """

    def __init__(self, folder: Path, tls: ssl.SSLContext | None = None) -> None:
        self.asked: list[str] = []
        self.elsewhere: dict[str, str] = {}
        self.gzip_is_encoding = False
        server = self

        class Handler(_Handler):
            def do_GET(self) -> None:
                server.asked.append(self.path)
                if self.path not in server.elsewhere:
                    super().do_GET()
                    return
                self.send_response(302)
                self.send_header("Location", server.elsewhere[self.path])
                self.send_header("Content-Length", "0")
                self.end_headers()

            def end_headers(self) -> None:
                if server.gzip_is_encoding and self.path.endswith(".gz"):
                    self.send_header("Content-Encoding", "gzip")
                super().end_headers()

        self._server = _Server(("127.0.0.1", 0), partial(Handler, directory=str(folder)))
        scheme = "http"
        if tls is not None:
            scheme = "https"
            # The handshake belongs to the thread of the connection.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{scheme}://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(_LOOK,))

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
