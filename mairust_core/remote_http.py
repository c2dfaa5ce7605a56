"""The client's side of HTTP: one server, its certificate, its key, and what can go wrong on the way."""

from __future__ import annotations

import base64
import hashlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

from mairust_core.errors import (
    BY_CODE,
    Forbidden,
    IncompleteStream,
    MaiRustError,
    Unauthenticated,
    Unreachable,
    Usage,
)
from mairust_core.operations import BytesIn, BytesOut

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 60.0
CONNECT_TIMEOUT_S = 10.0
PAUSES_S = (0.1, 0.5)
"""Before a request whose connection broke is sent again."""
MAX_ANSWER_BYTES = 64 << 20
API_PATH = "/api/v1"
"""What people who know the API put behind the server's address; each request brings its own."""
_TOKEN = re.compile(r"[!-~]+")
"""What a header takes (RFC 6750 §2.1 allows less); anything else must not reach an error's text."""
_DIGEST = re.compile(r"sha-256=:([A-Za-z0-9+/=]{44}):")


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request: either `json` or `upload` is its body, or neither."""

    method: str
    path: str
    query: dict[str, str | list[str]]
    media_type: str
    json: bytes | None = None
    upload: BytesIn | None = None
    idempotency_key: str | None = None
    """Of a request that makes something: with it a repetition is done once."""

    @property
    def repeatable(self) -> bool:
        """Whether sending it again is safe and possible."""
        again = self.upload is None or not isinstance(self.upload.chunks, Iterator)
        return again and (self.method == "GET" or self.idempotency_key is not None)


class _Broken(Exception):
    """The connection broke before a whole answer had come."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why


@dataclass(kw_only=True)
class Server:
    """A MaiRust server: `https://HOST[:PORT]`, `http://` on loopback, or `unix:/PATH`. Thread-safe.

    `ca_file` names the authorities to trust in place of the system's; `timeout_s` is how long it may be
    silent; `language` is that of its errors. Raises `Usage` for another kind of URL,
    `Unauthenticated` for a key that is none, and `Forbidden` when it would travel in the clear (rule G4).
    """

    url: str
    token: str = field(repr=False)
    ca_file: Path | None = None
    timeout_s: float = TIMEOUT_S
    language: str = "en"

    def __post_init__(self) -> None:
        self.url = self.url.rstrip("/")
        if self.url.startswith(("http:", "https:")):
            self.url = self.url.removesuffix(API_PATH)
        self._parts = checked_url(self.url)
        if not _TOKEN.fullmatch(self.token):
            raise Unauthenticated("not_a_token")
        self._lock = threading.Lock()
        self._opened: httpx.Client | None = None

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the next call opens new ones."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None

    def exchange(self, sent: Sent) -> bytes:
        """The body of the answer to a request; raises the error that the server reports.

        A request that may be repeated is, twice at most, when the connection broke before the answer came.
        """
        for pause_s in PAUSES_S if sent.repeatable else ():
            try:
                return self._exchange(sent)
            except _Broken:
                time.sleep(pause_s)
        try:
            return self._exchange(sent)
        except _Broken as error:
            raise Unreachable("server", url=self.url, why=error.why) from error

    def _exchange(self, sent: Sent) -> bytes:
        import httpx

        try:
            with self._translated(), self._client().stream(**self._arguments(sent)) as response:
                body = self._bounded(response)
        except Unreachable as error:
            if isinstance(error.__cause__, httpx.ReadError | httpx.RemoteProtocolError | httpx.WriteError):
                raise _Broken(_reason(error.__cause__)) from error
            raise
        if not response.is_success:
            raise self._error(response, body)
        return body

    def download(self, sent: Sent) -> BytesOut:
        """Bytes as they come; their end raises `IncompleteStream` unless length and SHA-256 fit."""
        client = self._client()
        with self._translated():
            response = client.send(client.build_request(**self._arguments(sent)), stream=True)
        try:
            if not response.is_success:
                with self._translated():
                    raise self._error(response, self._bounded(response))
            return self._stream(response)
        except BaseException:
            response.close()
            raise

    def stream(self, sent: Sent) -> Iterator[bytes]:
        """The body of the answer as it comes, of any length; raises what the server reports, at once."""
        client = self._client()
        with self._translated():
            response = client.send(client.build_request(**self._arguments(sent)), stream=True)
        if not response.is_success:
            try:
                with self._translated():
                    raise self._error(response, self._bounded(response))
            finally:
                response.close()
        return self._closing(response)

    def _closing(self, response: httpx.Response) -> Iterator[bytes]:
        try:
            yield from self._pieces(response)
        finally:
            response.close()

    def not_mairust(self, why: str) -> Unreachable:
        """The error for an answer that no MaiRust gives."""
        return Unreachable("answer", url=self.url, why=why)

    def _client(self) -> httpx.Client:
        with self._lock:
            if self._opened is None:
                self._opened = self._open()
            return self._opened

    def _open(self) -> httpx.Client:
        import httpx

        unix = self._parts.scheme == "unix"
        if unix:
            self._try_socket()
        transport = httpx.HTTPTransport(
            verify=self._verification(), trust_env=False, uds=self._parts.path if unix else None
        )
        return httpx.Client(
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx.Timeout(self.timeout_s, connect=min(self.timeout_s, CONNECT_TIMEOUT_S)),
            headers={
                "authorization": f"Bearer {self.token}",
                "accept-language": self.language,
                "accept-encoding": "identity",
                "user-agent": "mairust",
            },
        )

    def _try_socket(self) -> None:
        """Raise `Unreachable` when nobody listens; httpcore would leave its own socket unclosed then."""
        try:
            with socket.socket(socket.AF_UNIX) as tried:
                tried.settimeout(min(self.timeout_s, CONNECT_TIMEOUT_S))
                tried.connect(self._parts.path)
        except OSError as error:
            raise Unreachable("server", url=self.url, why=error.strerror or error) from error

    def _verification(self) -> ssl.SSLContext | bool:
        if self._parts.scheme != "https":
            return False  # a context costs time, and there is nothing to verify
        try:
            return ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise Unreachable("certificate", url=self.url, why=f"{self.ca_file}: {error}") from error

    def _arguments(self, sent: Sent) -> dict[str, Any]:
        base = "http://localhost" if self._parts.scheme == "unix" else self.url
        arguments: dict[str, Any] = {"method": sent.method, "url": base + sent.path, "params": sent.query}
        if sent.upload is not None:
            headers = {"content-type": sent.media_type}
            if sent.upload.size_bytes is not None:
                headers["content-length"] = str(sent.upload.size_bytes)
            arguments |= {"content": _exactly(sent.upload), "headers": headers}
        elif sent.json is not None:
            arguments |= {"content": sent.json, "headers": {"content-type": sent.media_type}}
        if sent.idempotency_key is not None:
            arguments.setdefault("headers", {})["idempotency-key"] = sent.idempotency_key
        return arguments

    @contextmanager
    def _translated(self) -> Iterator[None]:
        import httpx

        try:
            yield
        except httpx.TimeoutException as error:
            raise Unreachable("server", url=self.url, why=f"no answer for {self.timeout_s:g} s") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            detail = "certificate" if "CERTIFICATE_VERIFY_FAILED" in str(error) else "server"
            raise Unreachable(detail, url=self.url, why=_reason(error)) from error

    def _bounded(self, response: httpx.Response) -> bytes:
        body = bytearray()
        for piece in response.iter_raw():
            body += piece
            if len(body) > MAX_ANSWER_BYTES:
                raise self.not_mairust(f"it answered more than {MAX_ANSWER_BYTES} bytes")
        return bytes(body)

    def _error(self, response: httpx.Response, body: bytes) -> MaiRustError:
        if response.headers.get("content-type", "").startswith("application/problem+json"):
            import json

            try:
                found = json.loads(body)
                if found["code"] in BY_CODE:
                    return MaiRustError.from_wire(found["code"], str(found["detail"]), str(found["hint"]))
            except (ValueError, KeyError, TypeError) as error:
                return self.not_mairust(f"status {response.status_code} with a broken problem: {error!r}")
        return self.not_mairust(f"status {response.status_code} without a problem that is known here")

    def _stream(self, response: httpx.Response) -> BytesOut:
        length = response.headers.get("content-length", "")
        digest = _DIGEST.search(response.headers.get("repr-digest", ""))
        if not digest or not length.isdigit():
            raise self.not_mairust("bytes without Content-Length and Repr-Digest")
        size_bytes, sha256 = int(length), base64.b64decode(digest[1])
        return BytesOut(
            chunks=self._verified(response, size_bytes, sha256),
            size_bytes=size_bytes,
            sha256=sha256,
            filename=_filename(response.headers.get("content-disposition", "")),
            content_type=response.headers.get("content-type", ""),
        )

    def _verified(self, response: httpx.Response, size_bytes: int, sha256: bytes) -> Iterator[bytes]:
        received, digest = 0, hashlib.sha256()
        try:
            for piece in self._pieces(response):
                received += len(piece)
                digest.update(piece)
                yield piece
        finally:
            response.close()
        if received != size_bytes:
            raise self._incomplete(f"{received} of {size_bytes} bytes came")
        if digest.digest() != sha256:
            raise self._incomplete("the bytes do not have the SHA-256 announced")

    def _pieces(self, response: httpx.Response) -> Iterator[bytes]:
        import httpx

        try:
            yield from response.iter_raw()
        except httpx.TransportError as error:
            raise self._incomplete(_reason(error)) from error

    def _incomplete(self, why: str) -> IncompleteStream:
        return IncompleteStream("download", url=self.url, why=why)


def checked_url(url: str) -> SplitResult:
    """The parts of a server's URL; raises `Usage`, and `Forbidden` for plain HTTP to another machine."""
    try:
        parts = urlsplit(url)
        parts.port  # noqa: B018 - raises for a port that is none
    except ValueError as error:
        raise Usage("server_url", url=url, why=error) from None
    if parts.scheme == "unix" and parts.path.startswith("/"):
        return parts
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise Usage("server_url", url=url, why="it begins with neither https://HOST nor unix:/")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise Usage(
            "server_url", url=parts._replace(netloc=parts.hostname).geturl(), why="it has too many parts"
        )
    if parts.scheme == "http" and not _is_loopback(parts.hostname):
        raise Forbidden("plain_http")
    return parts


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _exactly(upload: BytesIn) -> Iterator[bytes]:
    """The chunks, which must be as many bytes as announced: a short body would wait for its rest."""
    sent, announced = 0, upload.size_bytes
    for chunk in upload.chunks:
        sent += len(chunk)
        if announced is not None and sent > announced:
            raise IncompleteStream("upload", sent=sent, announced=announced)
        yield chunk
    if announced is not None and sent != announced:
        raise IncompleteStream("upload", sent=sent, announced=announced)


def _filename(disposition: str) -> str:
    extended = re.search(r"filename\*=UTF-8''([^;]+)", disposition)
    if extended:
        return unquote(extended[1], errors="replace")
    plain = re.search(r'filename="([^"]*)"', disposition)
    return plain[1] if plain else ""


def _reason(error: Exception) -> str:
    return str(error).rstrip(".") or type(error).__name__
