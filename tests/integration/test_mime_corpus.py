"""The scanner on real mail, and beside the standard library's parser (corpora: `MAIRUST_CORPORA`)."""

from __future__ import annotations

import email
import os
import quopri
import re
import tarfile
import time
from collections.abc import Iterator
from email.message import Message
from pathlib import Path

import pytest
import zstandard

from mairust_core.mime import (
    Part,
    crlf_form,
    describe,
    headers,
    hidden_ranges,
    html_of,
    part_bytes,
    parts,
    render,
    text_of,
)
from tests.support import imap_syntax

SPAM_EVERY = 8
"""Of the spam corpus every so many messages are read: about 800."""

OTHER_TREES = {
    "00204.4cf15f97b8ea08bfafab7d5091b8fbe7": "no semicolon: `email` takes the charset into the type",
}
OTHER_BYTES = {
    "056-bsfilter-cr.eml": "for `email` a bare CR ends a line, and here the header; for us it is an octet",
    "318-uudeview-uuencode-mac-cr.good.eml": "the same",
}


@pytest.fixture(scope="module")
def corpora() -> Path:
    """Return the folder of real mail, or skip."""
    found = os.environ.get("MAIRUST_CORPORA")
    if not found:
        pytest.skip("MAIRUST_CORPORA is not set: no real mail")
    return Path(found)


def _odd(corpora: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted((corpora / "mime").glob("*.eml")):
        yield path.name, path.read_bytes()


def _spam(corpora: Path, every: int) -> Iterator[tuple[str, bytes]]:
    with (
        (corpora / "spam-dev.tar.zst").open("rb") as packed,
        zstandard.ZstdDecompressor().stream_reader(packed) as unpacked,
        tarfile.open(fileobj=unpacked, mode="r|") as archive,
    ):
        number = 0
        for member in archive:
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None and not member.name.endswith((".tsv", ".txt")):
                number += 1
                if number % every == 0:
                    yield Path(member.name).name, file.read()


def _all(corpora: Path) -> Iterator[tuple[str, bytes]]:
    yield from _odd(corpora)
    yield from _spam(corpora, SPAM_EVERY)


def test_real_mail_is_described(corpora: Path) -> None:
    """Every message gives facts that hold together, and legal ENVELOPE and BODYSTRUCTURE (rule C4)."""
    count, cpu_s, slowest = 0, 0.0, (0.0, "")
    for name, content in _all(corpora):
        begun = time.process_time()
        facts = describe(content)
        took = time.process_time() - begun
        count, cpu_s, slowest = count + 1, cpu_s + took, max(slowest, (took, name))
        assert facts.crlf_size_bytes == len(crlf_form(content)), name
        imap_syntax.check_envelope(imap_syntax.read(facts.envelope))
        imap_syntax.check_body(imap_syntax.read(facts.bodystructure))
        (facts.subject + facts.preview + repr(facts.to)).encode()
    slow_s, slow_name = slowest
    print(
        f"\n{count} messages, {cpu_s / count * 1e6:.0f} us CPU each; {slow_name} took {slow_s * 1e3:.1f} ms"
    )
    assert count > 1000


def test_trap_s3_real_mail_is_rendered_to_the_octet(corpora: Path) -> None:
    """With nothing to hide the rendering is the blob; texts, headers and hidden ranges never raise."""
    for name, content in _all(corpora):
        assert render(b"", content, ()) == content, name
        for start, end in hidden_ranges(content, "mx.example.org", True):
            assert content[start:end].lower().startswith((b"return-path", b"authentication-results")), name
        (text_of(content) + html_of(content) + repr(headers(content))).encode()


def test_bare_lf_and_crlf_mail_give_the_same_wire_form(corpora: Path) -> None:
    """The facts of a message do not depend on which line ends it came with (rule B2)."""
    for name, content in _odd(corpora):
        given, crlf = describe(content), describe(crlf_form(content))
        assert (given.envelope, given.bodystructure) == (crlf.envelope, crlf.bodystructure), name
        assert (given.preview, given.attachments) == (crlf.preview, crlf.attachments), name


def test_well_formed_mail_has_the_parts_that_the_standard_library_finds(corpora: Path) -> None:
    """Where `email` finds no defect, part tree and decoded bytes are the same, but for named exceptions."""
    compared = 0
    for name, content in _all(corpora):
        theirs = email.message_from_bytes(content)
        if _defective(theirs) or name.removesuffix(".eml") in OTHER_TREES:
            continue
        compared += 1
        assert _ours(parts(content)) == _theirs(theirs), name
        if name not in OTHER_BYTES:
            for part_id, payload in _leaves(parts(content), theirs):
                assert part_bytes(content, part_id) == payload, (name, part_id)
    assert compared > 800


_BLANKS = re.compile(rb"[ \t]+(?=\r?\n|\Z)")

Tree = list["str | Tree"]


def _ours(part: Part) -> Tree:
    inner = [part.message] if part.message else part.children
    return [part.type.name, *map(_ours, inner)]


def _theirs(part: Message) -> Tree:
    return [part.get_content_type(), *map(_theirs, _children(part))]


def _children(part: Message) -> list[Message]:
    """Return the parts inside; unlike `email`, IMAP does not look into every message/*."""
    main, kind = part.get_content_maintype(), part.get_content_type()
    if not part.is_multipart() or (main == "message" and kind not in ("message/rfc822", "message/global")):
        return []
    return [child for child in part.get_payload() if isinstance(child, Message)]


def _defective(part: Message) -> bool:
    return bool(part.defects) or any(map(_defective, _children(part)))


def _leaves(part: Part, theirs: Message) -> Iterator[tuple[str, bytes]]:
    """Yield number and the payload that `email` decodes for each leaf that it keeps as text."""
    inner = [part.message] if part.message else part.children
    for ours, other in zip(inner, _children(theirs), strict=True):
        yield from _leaves(ours, other)
    if not inner and not theirs.is_multipart():
        payload = theirs.get_payload(decode=True)
        if theirs.get("content-transfer-encoding", "").strip().lower() == "quoted-printable":
            # what transports put behind lines is to be taken away (RFC 2045 §6.7), and `email` keeps it
            raw = vars(theirs)["_payload"].encode("ascii", "surrogateescape")  # else it is decoded
            payload = quopri.decodestring(_BLANKS.sub(b"", raw))
        assert isinstance(payload, bytes)
        if not theirs.defects:  # found only now: base64 that `email` gives up on
            yield part.number, payload
