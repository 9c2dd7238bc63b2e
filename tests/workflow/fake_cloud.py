"""As much of S3 and of Kubernetes' API as Snakemake speaks, on loopback: what is asked for is kept."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape

import yaml

NAMESPACE = "/api/v1/namespaces/default"
JOBS = "/apis/batch/v1/namespaces/default/jobs"
CREDENTIALS = {
    "SNAKEMAKE_STORAGE_S3_ACCESS_KEY": "who-asks",
    "SNAKEMAKE_STORAGE_S3_SECRET_KEY": "what-nobody-knows",
}
DATE = "Thu, 01 Jan 2026 00:00:00 GMT"
LISTING = (
    "<ListBucketResult><IsTruncated>false</IsTruncated><KeyCount>{count}</KeyCount>"
    "{items}</ListBucketResult>"
)
ITEM = (
    "<Contents><Key>{key}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>"
    "<ETag>0</ETag><Size>{size}</Size></Contents>"
)


@dataclass
class Cloud:
    """A store of objects by bucket and key, and the secrets and jobs that were asked for."""

    port: int = 0
    objects: dict[str, bytes] = field(default_factory=dict)
    secrets: list[dict[str, Any]] = field(default_factory=list)
    jobs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def environment(self, folder: Path) -> dict[str, str]:
        """What a shell has that is logged in to this cluster and this store."""
        kubeconfig = folder / "kubeconfig"
        named = {"name": "fake"}
        settings = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fake",
            "clusters": [{**named, "cluster": {"server": self.address}}],
            "users": [{**named, "user": {}}],
            "contexts": [{**named, "context": {"cluster": "fake", "user": "fake"}}],
        }
        kubeconfig.write_text(yaml.safe_dump(settings))
        return {
            "KUBECONFIG": str(kubeconfig),
            **CREDENTIALS,
            # A body as it is, without a checksum behind it.
            "AWS_REQUEST_CHECKSUM_CALCULATION": "when_required",
        }


@contextmanager
def cloud() -> Iterator[Cloud]:
    made = Cloud()

    class Handler(_Handler):
        state = made

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        made.port = server.server_address[1]
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield made
        finally:
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: Cloud
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_HEAD(self) -> None:
        self._read()

    def do_GET(self) -> None:
        self._read()

    def do_PUT(self) -> None:
        self.state.objects[urlsplit(self.path).path] = self._body()
        self._answer(200)

    def do_POST(self) -> None:
        asked = json.loads(self._body())
        path = urlsplit(self.path).path
        if path == f"{NAMESPACE}/secrets":
            self.state.secrets.append(asked)
            self._answer(201, json.dumps(asked).encode())
        elif path == JOBS:
            # No node takes the job, so that Snakemake stops.
            self.state.jobs.append(asked)
            self._answer(403, b'{"kind": "Status", "reason": "Forbidden"}')
        else:
            self._answer(404)

    def do_DELETE(self) -> None:
        """Gone for who asks, and kept for who looks here."""
        self._body()
        if self.path.startswith("/api"):
            self._answer(200, b"{}")
        else:
            self._answer(204)

    def _read(self) -> None:
        parts = urlsplit(self.path)
        key = parts.path.rstrip("/")
        if key.count("/") == 1:  # a bucket
            self._answer(200, self._listing(key, parse_qs(parts.query).get("prefix", [""])[0]))
        elif key in self.state.objects:
            self._answer(200, self.state.objects[key])
        else:
            self._answer(404)

    def _listing(self, bucket: str, prefix: str) -> bytes:
        start = f"{bucket}/{prefix}"
        found = {name: body for name, body in self.state.objects.items() if name.startswith(start)}
        items = "".join(
            ITEM.format(key=escape(name.removeprefix(f"{bucket}/")), size=len(body))
            for name, body in found.items()
        )
        return LISTING.format(count=len(found), items=items).encode()

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def _answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        kind = "json" if body.startswith(b"{") else "xml"
        self.send_header("Content-Type", f"application/{kind}")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Last-Modified", DATE)
        self.send_header("ETag", '"0"')
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
