"""The reference of packages: its test vectors by nothing but a library for Ed25519, its limits, its rules."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from mairust_core.model.trust import KEY_ID
from mairust_core.plugins import identity
from mairust_core.plugins.package import (
    ArchiveLimits,
    certificates,
    documents,
    keys,
    listing,
    revocations,
    signatures,
    verify,
)
from mairust_core.plugins.package.licences import read as read_licence
from mairust_core.plugins.package.linting import LEVELS
from mairust_core.plugins.package.sources import IGNORED
from mairust_core.plugins.source import MAX_BYTES
from tests.support import docs
from tests.support.docs import CHECKOUT

PAGE = CHECKOUT / "docs" / "reference" / "plugin-packages.md"
TEXT = PAGE.read_text("utf-8")
LISTING, MARK, REVOCATIONS, LICENCE = (block.text.encode() for block in docs.blocks(PAGE, "json"))
ROOT = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
MARKET = Ed25519PrivateKey.from_private_bytes(bytes(range(32, 64)))


def told(what: str) -> str:
    """A value of the table of vectors."""
    found = re.search(rf"^\| {what} \| `([0-9a-f]+)` \|$", TEXT, re.MULTILINE)
    assert found is not None, what
    return found[1]


def canonical(value: Any) -> bytes:
    """RFC 8785 for these values, written here once more."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def test_the_vectors_verify_without_any_code_of_ours() -> None:
    """Keys, ids, digest, and each signature."""
    for name, private in (("root", ROOT), ("marketplace's key", MARKET)):
        public = private.public_key().public_bytes_raw()
        assert told(f"{name}, public") == public.hex()
        assert told(f"{name}, id") == hashlib.sha256(public).hexdigest()[:16]
    assert told("digest of the listing") == hashlib.sha256(LISTING).hexdigest()
    mark = json.loads(MARK)
    MARKET.public_key().verify(base64.b64decode(mark["signature"]), LISTING)
    for signed, kind in ((mark["certificate"], "certificate"), (json.loads(REVOCATIONS), "revocations"),
                         (json.loads(LICENCE), "license")):  # fmt: skip
        ROOT.public_key().verify(base64.b64decode(signed["signature"]), canonical(signed[kind]))


def test_the_vectors_are_what_we_read_and_write() -> None:
    """To the byte."""
    roots = {told("root, id"): bytes.fromhex(told("root, public"))}
    mark = signatures.read(MARK, "marketplace.json")
    verify(mark, LISTING, bytes.fromhex(told("marketplace's key, public")))
    assert mark.certificate is not None
    mark.certificate.require(roots, mark.certificate.not_after)
    certificate = json.dumps(json.loads(MARK)["certificate"]).encode()
    assert signatures.write(LISTING, MARKET, certificate) == MARK
    listed = listing.read(LISTING, ArchiveLimits())
    assert (listed.id, listed.files["plugin.toml"].size_bytes) == ("com.example.vector", 0)
    revoked = revocations.read(REVOCATIONS)
    revoked.signed.require_root(roots)
    assert (
        revocations.write(revoked.serial, revoked.issued_at, revoked.keys, revoked.manifests, ROOT)
        == REVOCATIONS
    )
    licence = read_licence(LICENCE)
    licence.require(roots, licence.not_after)
    (pem,) = (block.text for block in docs.blocks(PAGE, "text"))
    assert keys.public_pem(bytes.fromhex(told("root, public"))).decode() == pem


def test_the_limits_are_those_told() -> None:
    """Each of them."""
    rows = dict(
        re.findall(r"^\| ([^|`]+|`[^`]+`|separators in `[^`]+`) \| ([0-9][^|]*) \|$", TEXT, re.MULTILINE)
    )
    limits, kib, mib = ArchiveLimits(), 1 << 10, 1 << 20
    assert rows == {
        "archive": f"{limits.archive_bytes // mib} MiB",
        "unpacked, with headers and padding": f"{limits.unpacked_bytes // mib} MiB",
        f"unpacked, over {limits.ratio_from_bytes // mib} MiB": f"{limits.ratio} times the archive",
        "files and directories": str(limits.files),
        "path": f"{limits.path_bytes} bytes, {limits.depth} parts",
        "`plugin.toml`": f"{MAX_BYTES // kib} KiB",
        "`manifest.json`": f"{limits.listing_bytes // mib} MiB",
        "each signature file": f"{limits.signature_bytes // kib} KiB",
        "certificate, in a file of its own": f"{certificates.MAX_BYTES} bytes",
        "revocation list": f"{revocations.MAX_BYTES // mib} MiB, {revocations.MAX_VALUES} separators",
        "separators in `manifest.json`": str(limits.files * listing.VALUES_OF_A_FILE),
        "separators in any other document": str(documents.VALUES),
        "a text in a document": f"{documents.MAX_TEXT} characters",
        "an id of a plugin": f"{identity.MAX_ID_LENGTH} characters",
        "`format`": "1",
    }
    assert {f"`{one.pattern}`" for one in (KEY_ID, listing.SHA256)} <= set(re.findall("`[^`]+`", TEXT))
    assert f"begin with `{identity.RESERVED}.`" in TEXT


def test_the_rules_of_the_linter_are_those_told() -> None:
    """Each with its level, and what packing leaves out."""
    rows = re.findall(r"^\| (`[a-z_`, ]+`) \| (error|warning|info) \|", TEXT, re.MULTILINE)
    found = {name: level for names, level in rows for name in re.findall(r"`([a-z_]+)`", names)}
    assert found == {rule: level.value for rule, level in LEVELS.items()}
    assert all(f"`{pattern}`" in TEXT for pattern in IGNORED)
