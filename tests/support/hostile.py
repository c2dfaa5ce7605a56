"""Archives that somebody made to do harm, and those that accidents made, each with its fault (trap H6)."""

from __future__ import annotations

import base64
import json
import random
import struct
from collections.abc import Callable

from mairust_core.plugins.package import ArchiveLimits, keys, signatures
from tests.support.archives import FILES, SCRIPT, TOML, Entry, entries, gzip, listing, package, tar

SMALL = ArchiveLimits(archive_bytes=1 << 16, unpacked_bytes=1 << 20, ratio_from_bytes=1 << 17, files=40)
"""Limits that tests reach quickly."""


def with_entry(name: str, data: bytes = b"x", *, listed: bool = True, **other: object) -> bytes:
    """A sound package with one more member, which its listing names."""
    files = {**FILES, name: data} if listed else FILES
    made = Entry(name=name, data=data, **other)  # type: ignore[arg-type]  # the fields of an entry
    return gzip(tar(entries(FILES, listing(files), [made])))


def with_files(files: dict[str, bytes], **listed: object) -> bytes:
    """A package of these files, whatever its listing says otherwise."""
    return package(files, listing(files, **listed)).getvalue()


def with_raw(offset: int, value: bytes) -> bytes:
    """A package with one more member, whose header says something else at an offset."""
    return with_entry("x", raw={offset: value})


def signed(name: str = "developer", **changed: object) -> bytes:
    """A package with a signature file of which something is changed."""
    made = json.loads(signatures.write(listing(FILES), keys.generate()))
    data = json.dumps({**made, **changed}).encode()
    return with_entry(f"signatures/{name}.json", data, listed=False)


def swapped() -> bytes:
    """Files and listing of one package under the signature of another."""
    mark = signatures.write(listing(FILES), keys.generate())
    files = {**FILES, "spam.sh": SCRIPT + b"curl evil.example\n"}
    return gzip(tar(entries(files, None, [Entry(name="signatures/developer.json", data=mark)])))


def listing_of(**changed: object) -> bytes:
    """A sound package but for its listing."""
    return with_files(dict(FILES), **changed)


def of_listing(data: bytes) -> bytes:
    """A package whose manifest.json is this."""
    return package(manifest=data).getvalue()


def facts(**changed: object) -> bytes:
    """A package whose listing says something else of one file."""
    told = json.loads(listing(FILES))
    told["files"]["spam.sh"].update(changed)
    return package(FILES, json.dumps(told).encode()).getvalue()


GOOD = package().getvalue()
RAW = tar(entries())
HOSTILE: dict[str, tuple[Callable[[], bytes], str]] = {
    "traversal": (lambda: with_entry("../../etc/cron.d/x"), "path_up"),
    "traversal inside": (lambda: with_entry("lib/../../x"), "path_up"),
    "traversal at the end": (lambda: with_entry("lib/.."), "path_up"),
    "absolute": (lambda: with_entry("/etc/passwd"), "path_absolute"),
    "empty name": (lambda: with_entry(""), "path_spelling"),
    "two slashes": (lambda: with_entry("lib//x"), "path_spelling"),
    "a point": (lambda: with_entry("./plugin.toml"), "path_spelling"),
    "backslash": (lambda: with_entry("..\\..\\x"), "path_characters"),
    "control character": (lambda: with_entry("a\nb"), "path_characters"),
    "escape": (lambda: with_entry("a\x1b[2J"), "path_characters"),
    "bidi override": (lambda: with_entry("gnp\u202e.sh"), "path_characters"),
    "zero width": (lambda: with_entry("spam\u200b.sh"), "path_characters"),
    "other space": (lambda: with_entry("spam\u00a0.sh"), "path_characters"),
    "filler": (lambda: with_entry("spam\u3164.sh"), "path_characters"),
    "variation": (lambda: with_entry("spam\ufe0f.sh"), "path_characters"),
    "blank pattern": (lambda: with_entry("spam\u2800.sh"), "path_characters"),
    "NUL inside": (lambda: with_raw(0, b"x\0y"), "path_characters"),
    "trailing space": (lambda: with_entry("spam.sh "), "path_ends"),
    "trailing point": (lambda: with_entry("spam.sh."), "path_ends"),
    "directory with a trailing point": (lambda: with_entry("lib./x"), "path_ends"),
    "not UTF-8": (lambda: with_raw(0, b"\xff\xfe"), "path_encoding"),
    "decomposed": (lambda: with_entry("cafe\u0301.txt"), "path_encoding"),
    "long path": (lambda: with_entry(f"{'d' * 149}/{'x' * 95}"), "path_long"),
    "deep path": (lambda: with_entry("/".join("d" * 20)), "path_deep"),
    "symbolic link": (lambda: with_entry("x", b"", kind=b"2", link="/etc/passwd"), "link"),
    "hard link": (lambda: with_entry("x", b"", kind=b"1", link="plugin.toml"), "link"),
    "character device": (lambda: with_entry("x", b"", kind=b"3"), "special"),
    "block device": (lambda: with_entry("x", b"", kind=b"4"), "special"),
    "fifo": (lambda: with_entry("x", b"", kind=b"6"), "special"),
    "unknown kind": (lambda: with_entry("x", b"", kind=b"9"), "special"),
    "sparse": (lambda: with_entry("x", b"", kind=b"S"), "sparse"),
    "GNU long name": (lambda: with_entry("x", b"y" * 400, kind=b"L"), "extended"),
    "GNU long link": (lambda: with_entry("x", b"y" * 400, kind=b"K"), "extended"),
    "pax header": (lambda: with_entry("x", b"20 path=../../evil\n", kind=b"x"), "extended"),
    "pax global header": (lambda: with_entry("x", b"20 path=../../evil\n", kind=b"g"), "extended"),
    "pax header that claims 8 GiB": (lambda: with_entry("x", kind=b"x", size=(8 << 30) - 1), "extended"),
    "GNU magic": (lambda: with_entry("x", magic=b"ustar  \0"), "not_ustar"),
    "no magic": (lambda: with_entry("x", magic=bytes(8)), "not_ustar"),
    "setuid": (lambda: with_entry("x", mode=0o4755), "mode"),
    "sticky": (lambda: with_entry("x", mode=0o1777), "mode"),
    "size in binary": (lambda: with_raw(124, b"\x80" + bytes(10) + b"\1"), "header"),
    "negative size": (lambda: with_raw(124, b"-0000000001\0"), "header"),
    "no size": (lambda: with_raw(124, bytes(12)), "header"),
    "size beyond all": (lambda: with_entry("x", size=(8 << 30) - 1), "bomb"),
    "directory with content": (lambda: with_entry("d/", b"x", kind=b"5", listed=False), "header"),
    "wrong sum": (lambda: gzip(tar([Entry(name="x", data=b"x")]).replace(b"x\0", b"y\0", 1)), "header"),
    "content in the padding": (lambda: gzip(RAW.replace(b"casino\n\0", b"casino\n!")), "header"),
    "duplicate": (lambda: with_entry("spam.sh", SCRIPT), "duplicate"),
    "duplicate plugin.toml": (lambda: with_entry("plugin.toml", TOML), "duplicate"),
    "duplicate manifest.json": (
        lambda: with_entry("manifest.json", listing(FILES), listed=False),
        "duplicate",
    ),
    "duplicate key of the listing": (lambda: of_listing(listing(FILES)[:-1] + b', "id": "x"}'), "json"),
    "case": (lambda: with_entry("Spam.sh"), "clash"),
    "case of a directory": (lambda: with_entry("LIB/other.txt"), "clash"),
    "case of plugin.toml": (lambda: with_entry("PLUGIN.TOML"), "clash"),
    "ligature": (lambda: with_files({**FILES, "ﬁlter": b"", "filter": b""}), "clash"),
    "full width": (lambda: with_entry("ｓpam.sh"), "clash"),
    "sharp s": (lambda: with_files({**FILES, "straße": b"", "strasse": b""}), "clash"),
    "file and directory": (lambda: with_entry("spam.sh/x"), "clash"),
    "directory and file": (lambda: with_entry("lib"), "clash"),
    "bomb": (lambda: with_files({**FILES, "zeros": bytes(1 << 21)}), "bomb"),
    "bomb by ratio": (lambda: with_files({**FILES, "zeros": bytes(1 << 19)}), "bomb_ratio"),
    "bomb behind the end": (lambda: gzip(RAW + bytes(1 << 19)), "bomb_ratio"),
    "bomb by count": (lambda: with_files({**FILES, **{f"f{n}": b"" for n in range(60)}}), "too_many_files"),
    "bomb by directories": (
        lambda: gzip(tar(Entry(name=f"d{n}/", kind=b"5") for n in range(60))),
        "too_many_files",
    ),
    "too large": (lambda: with_files({**FILES, "noise": random.Random(1).randbytes(1 << 17)}), "too_large"),
    "nothing": (lambda: b"", "not_gzip"),
    "a zip": (lambda: b"PK\x03\x04" + bytes(100), "not_gzip"),
    "a bare tar": (lambda: RAW, "not_gzip"),
    "no tar inside": (lambda: gzip(b"hello" * 500), "header"),
    "an empty tar": (lambda: gzip(bytes(1024)), "without"),
    "gzip truncated": (lambda: GOOD[:-20], "truncated"),
    "gzip without its sum": (lambda: GOOD[:-8], "truncated"),
    "gzip header only": (lambda: GOOD[:10], "truncated"),
    "tar truncated in a file": (lambda: gzip(RAW[:1700]), "truncated"),
    "tar truncated in a header": (lambda: gzip(RAW[:512]), "truncated"),
    "tar without its end": (lambda: gzip(tar(entries(), b"")), "truncated"),
    "tar with half an end": (lambda: gzip(tar(entries(), bytes(512))), "truncated"),
    "gzip damaged": (lambda: GOOD[:100] + bytes([GOOD[100] ^ 0xFF]) + GOOD[101:], "damaged"),
    "gzip with a wrong sum": (lambda: GOOD[:-8] + struct.pack("<I", 7) + GOOD[-4:], "damaged"),
    "behind the gzip": (lambda: GOOD + b"\0", "trailing"),
    "a second member": (lambda: GOOD + gzip(tar(entries())), "trailing"),
    "behind the tar": (lambda: gzip(RAW + b"x" * 512), "trailing"),
    "a second archive": (lambda: gzip(RAW + RAW), "trailing"),
    "an end of one block": (lambda: gzip(RAW[:-512] + RAW), "trailing"),
    "no plugin.toml": (lambda: package({"spam.sh": SCRIPT}, listing(FILES)).getvalue(), "without"),
    "no manifest.json": (lambda: gzip(tar(entries()[1:])), "without"),
    "long plugin.toml": (lambda: with_files({**FILES, "plugin.toml": TOML + b"#" * 70_000}), "file_long"),
    "long signature": (
        lambda: with_entry("signatures/developer.json", b" " * 17_000, listed=False),
        "file_long",
    ),
    "extra file": (lambda: with_entry("evil.sh", listed=False), "extra"),
    "extra directory": (lambda: with_entry("empty/", b"", kind=b"5", listed=False), "extra"),
    "extra signature": (lambda: with_entry("signatures/mine.json", b"{}", listed=False), "extra"),
    "missing file": (lambda: package(FILES, listing({**FILES, "gone.sh": b""})).getvalue(), "missing"),
    "wrong size": (lambda: facts(size=7), "size"),
    "wrong hash": (lambda: facts(sha256="0" * 64), "hash"),
    "file swapped": (lambda: package({**FILES, "spam.sh": SCRIPT[::-1]}, listing(FILES)).getvalue(), "hash"),
    "plugin.toml not listed": (lambda: package(FILES, listing({"spam.sh": SCRIPT})).getvalue(), "not_listed"),
    "other id": (lambda: listing_of(id="com.example.other"), "differs"),
    "other version": (lambda: listing_of(version="9.9.9"), "differs"),
    "other format": (lambda: listing_of(format=2), "format"),
    "listing lists itself": (
        lambda: package(FILES, listing({**FILES, "manifest.json": b""})).getvalue(),
        "json_value",
    ),
    "listing lists a signature": (
        lambda: package(FILES, listing({**FILES, "signatures/x": b""})).getvalue(),
        "json_value",
    ),
    "listing with a bad path": (
        lambda: package(FILES, listing({**FILES, "../x": b""})).getvalue(),
        "path_up",
    ),
    "listing with a negative size": (lambda: facts(size=-1), "json_value"),
    "listing with a fraction": (lambda: facts(size=1.5), "json"),
    "listing with a true size": (lambda: facts(size=True), "json_value"),
    "listing with a short hash": (lambda: facts(sha256="00"), "json_value"),
    "listing with an odd word": (lambda: facts(executable=1), "json_value"),
    "listing with an unknown key": (lambda: listing_of(depends=[]), "json_unknown"),
    "listing without files": (
        lambda: of_listing(b'{"format": 1, "id": "com.example.spam", "version": "1.2.3"}'),
        "json_missing",
    ),
    "listing of lists": (
        lambda: of_listing(b'{"format": 1, "id": "com.example.spam", "version": "1.2.3", "files": []}'),
        "json_value",
    ),
    "listing that is a list": (lambda: of_listing(b"[]"), "json"),
    "listing that is no JSON": (lambda: of_listing(b"{"), "json"),
    "listing in Latin-1": (lambda: of_listing(b'{"id": "\xe9"}'), "json"),
    "listing with half a character": (
        lambda: of_listing(
            b'{"format": 1, "id": "com.example.spam", "version": "1.2.3", "files": {"\\ud800": {}}}'
        ),
        "path_encoding",
    ),
    "listing in a deep nest": (lambda: of_listing(b'{"a":' + b"[" * 300 + b"]" * 300 + b"}"), "json_missing"),
    "listing of too much": (lambda: of_listing(b"[" + b"{}," * 1000 + b"{}]"), "json_long"),
    "listing with a long number": (lambda: of_listing(b'{"format": ' + b"1" * 5000 + b"}"), "json"),
    "listing with a bad version": (lambda: listing_of(version="newest"), "json_value"),
    "listing with a bad id": (lambda: listing_of(id="../spam"), "json_value"),
    "signature over another listing": (swapped, "signature"),
    "signature changed": (lambda: signed(signature=base64.b64encode(bytes(64)).decode()), "signature"),
    "marketplace signature changed": (
        lambda: signed("marketplace", signature=base64.b64encode(bytes(64)).decode()),
        "signature",
    ),
    "signature cut": (lambda: signed(signature="AAAA"), "json_value"),
    "signature in odd base64": (lambda: signed(signature="!" * 88), "json_value"),
    "signature of another key": (lambda: signed(key_id="0" * 16), "key_id"),
    "signature with another key": (lambda: signed(public_key=base64.b64encode(bytes(32)).decode()), "key_id"),
    "signature by RSA": (lambda: signed(algorithm="rsa"), "algorithm"),
    "signature with a bad certificate": (
        lambda: signed(certificate={"certificate": {}, "signature": ""}),
        "json_value",
    ),
    "signature that is no JSON": (
        lambda: with_entry("signatures/developer.json", b"x", listed=False),
        "json",
    ),
    "licence that is no JSON": (lambda: with_entry("signatures/license.json", b"x", listed=False), "json"),
}
"""By what is wrong: a maker, and the end of the detail of its error, `package_…`."""
