"""What lies in a file, by its bytes: secrets, compiled code, what a shell script would do."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from mairust_core.plugins.package.python_source import Seen

SHELL = re.compile(rb"#!\s*\S*/(?:env\s+)?(?:ba|da|z|k|a)?sh\b")
PYTHON = re.compile(rb"#!\s*\S*/(?:env\s+)?python[0-9.]*\b")
SCRIPT = b"#!"

_SECRET_NAMES = frozenset({
    ".env", ".netrc", ".npmrc", ".pypirc", ".pgpass", "id_rsa", "id_ed25519", "id_ecdsa", "admin.token",
    "master.key",
})  # fmt: skip
_SECRET_SUFFIXES = frozenset({".p12", ".pfx", ".jks", ".keystore", ".key", ".kdbx"})
_SECRETS = {
    "PEM": rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY",
    "MaiRust": rb"\bmk_[0-9A-Za-z]{6,}_[0-9A-Za-z_-]{16,}|\bmps_[0-9A-Za-z_-]{20,}",
    "AWS": rb"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    "GitHub": rb"\bgh[pousr]_[0-9A-Za-z]{36,}|\bgithub_pat_[0-9A-Za-z_]{40,}",
    "Slack": rb"\bxox[abprs]-[0-9A-Za-z-]{10,}",
    "Google": rb"\bAIza[0-9A-Za-z_-]{35}\b",
    "Stripe": rb"\b[sr]k_live_[0-9A-Za-z]{20,}",
    "age": rb"\bAGE-SECRET-KEY-1[0-9A-Z]{50,}",
}
_KINDS = {kind: re.compile(pattern) for kind, pattern in _SECRETS.items()}
_PERHAPS = re.compile(rb"(?i)\b(password|passwd|secret|api_?key|token)[\"']?\s*[:=]\s*[\"'][^\"'\s]{8,}[\"']")
_COMPILED = {
    b"\x7fELF": "ELF", b"MZ": "PE", b"\xca\xfe\xba\xbe": "Java", b"\0asm": "WebAssembly",
    b"\xcf\xfa\xed\xfe": "Mach-O", b"\xce\xfa\xed\xfe": "Mach-O", b"!<arch>\n": "ar",
}  # fmt: skip
_COMMAND = rb"(?:^|[;&|(`]|\bthen|\bdo|\belse)\s*"
_FETCHES = re.compile(
    _COMMAND + rb"(curl|wget|ncat|netcat|nc|telnet|ssh|scp|sftp|ftp|socat|rsync)\b|(/dev/(?:tcp|udp))/"
)
_EVALUATES = re.compile(_COMMAND + rb"(eval)\b")


def is_secret_name(path: str) -> bool:
    """Whether files of that name hold secrets."""
    one = PurePosixPath(path)
    return one.name in _SECRET_NAMES or one.suffix.lower() in _SECRET_SUFFIXES


def secrets(data: bytes) -> Iterator[Seen]:
    """Where a key or token stands in the open, and where perhaps one does; what it is, never itself."""
    for kind, pattern in _KINDS.items():
        if found := pattern.search(data):
            yield Seen("secret", _line(data, found.start()), kind)
    if found := _PERHAPS.search(data):
        yield Seen("secret_perhaps", _line(data, found.start()), found[1].decode())


def compiled(data: bytes) -> str:
    """The kind of machine code that a file is; empty for any other."""
    return next((kind for magic, kind in _COMPILED.items() if data.startswith(magic)), "")


def look_at_shell(data: bytes) -> list[Seen]:
    """What a shell script would do, each name once."""
    found: dict[tuple[str, bytes], Seen] = {}
    for number, line in enumerate(data.split(b"\n"), 1):
        if line.lstrip().startswith(b"#"):
            continue
        for rule, pattern in (("network", _FETCHES), ("dynamic", _EVALUATES)):
            for match in pattern.finditer(line):
                name = next(filter(None, match.groups()))
                found.setdefault((rule, name), Seen(rule, number, name.decode()))
    return list(found.values())


def _line(data: bytes, place: int) -> int:
    return data.count(b"\n", 0, place) + 1
