"""An HTTP load: the same GET again and again over kept connections, by wrk where it is installed.

``python -m tests.benchmarks.http_load --url URL [--token-file F] [--connections 16] [--seconds 3]``

prints one JSON line: requests per second, p50 and p99 in milliseconds, answers that were no 200. Without wrk
one process of asyncio does it, which takes more of the machine from the server.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import urlsplit

_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One run of a load."""

    rate: float
    p50_ms: float
    p99_ms: float
    failed: int
    by: str


def by_wrk(url: str, token: str | None, connections: int, seconds: float) -> Measured:
    """The load by wrk, one thread."""
    header = ["-H", f"Authorization: Bearer {token}"] if token else []
    command = [
        "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s", "--latency", *header, url
    ]  # fmt: skip
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    failed = sum(int(number) for number in re.findall(r"(?:Non-2xx or 3xx responses: |timeout )(\d+)", told))
    return Measured(
        rate=float(_found(r"Requests/sec:\s+([\d.]+)", told)[0]),
        p50_ms=_ms(*_found(r"50%\s+([\d.]+)(us|ms|s)", told)),
        p99_ms=_ms(*_found(r"99%\s+([\d.]+)(us|ms|s)", told)),
        failed=failed,
        by="wrk",
    )


def _found(pattern: str, told: str) -> tuple[str, ...]:
    found = re.search(pattern, told)
    if found is None:
        raise RuntimeError(f"wrk did not say {pattern}: {told}")
    return found.groups()


def _ms(number: str, unit: str) -> float:
    return float(number) * _UNITS[unit]


async def by_asyncio(url: str, token: str | None, connections: int, seconds: float) -> Measured:
    """The load by this process."""
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    header = f"Authorization: Bearer {token}\r\n" if token else ""
    request = f"GET {target} HTTP/1.1\r\nHost: {parts.netloc}\r\n{header}\r\n".encode()
    ends_at = time.perf_counter() + seconds
    clients = [_client(parts.hostname or "", parts.port or 80, request, ends_at) for _ in range(connections)]
    begun = time.perf_counter()
    found = await asyncio.gather(*clients)
    took = sorted(one for times, _ in found for one in times)
    return Measured(
        rate=len(took) / (time.perf_counter() - begun),
        p50_ms=took[len(took) // 2] * 1e3,
        p99_ms=took[int(len(took) * 0.99)] * 1e3,
        failed=sum(failed for _, failed in found),
        by="asyncio",
    )


async def _client(host: str, port: int, request: bytes, ends_at: float) -> tuple[list[float], int]:
    reader, writer = await asyncio.open_connection(host, port)
    times, failed = [], 0
    while (began := time.perf_counter()) < ends_at:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        await reader.readexactly(int(length[1]) if length else 0)
        times.append(time.perf_counter() - began)
        failed += not head.startswith(b"HTTP/1.1 200")
    writer.close()
    return times, failed


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one load and print it."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.http_load", description=__doc__)
    parser.add_argument("--url", required=True)
    parser.add_argument("--token-file", type=Path)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--by", choices=("auto", "wrk", "asyncio"), default="auto")
    options = parser.parse_args(arguments)
    token = options.token_file.read_text().strip() if options.token_file else None
    with_wrk = options.by == "wrk" or (options.by == "auto" and shutil.which("wrk"))
    given = (options.url, token, options.connections, options.seconds)
    measured = by_wrk(*given) if with_wrk else asyncio.run(by_asyncio(*given))
    print(json.dumps(asdict(measured)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
