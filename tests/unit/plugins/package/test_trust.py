"""Keys, certificates, revocation lists and licences: who stands for a package, at a given time (rule G5)."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import (
    Ed25519PrivateKey,
    Ed25519PublicKey,
)
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from mairust_core.errors import Conflict, Invalid
from mairust_core.i18n import LANGUAGES, explain
from mairust_core.model.package import CheckState, KeyKind
from mairust_core.model.trust import SignedAs
from mairust_core.plugins.manifest import on_paper
from mairust_core.plugins.package import (
    Package,
    certificates,
    key_files,
    keys,
    licences,
    read_package,
    revocations,
    signatures,
    verify,
)
from mairust_core.plugins.package.checking import check
from mairust_core.plugins.package.documents import canonical
from mairust_core.plugins.package.listing import naming
from mairust_core.plugins.package.reading import USUAL
from mairust_core.plugins.package.vouching import voucher
from tests.support.archives import FILES, Entry, entries, gzip, listing, tar

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def id_of(private: Ed25519PrivateKey) -> str:
    """What a key is called."""
    return keys.key_id(keys.public_of(private))


def roots_of(*privates: Ed25519PrivateKey) -> dict[str, bytes]:
    """These keys, trusted."""
    return {id_of(one): keys.public_of(one) for one in privates}


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """A root, a marketplace whose key it certified, a developer, and what they sign."""

    root: Ed25519PrivateKey = field(default_factory=keys.generate)
    market: Ed25519PrivateKey = field(default_factory=keys.generate)
    developer: Ed25519PrivateKey = field(default_factory=keys.generate)

    def certificate(self, start: timedelta = -DAY, end: timedelta = DAY) -> bytes:
        """The root's word for the marketplace's key."""
        return certificates.write(keys.public_of(self.market), NOW + start, NOW + end, self.root)

    def package(self, certificate: bytes | None = None, **more: bytes) -> Package:
        """One that both signed."""
        marks = {
            SignedAs.DEVELOPER.path: signatures.write(self.listed, self.developer),
            SignedAs.MARKETPLACE.path: signatures.write(self.listed, self.market, certificate),
            **more,
        }
        extra = [Entry(name=name, data=data) for name, data in marks.items()]
        return read_package(io.BytesIO(gzip(tar(entries(FILES, self.listed, extra)))), on_paper())

    @property
    def listed(self) -> bytes:
        """The files, and the developer's key."""
        return naming(listing(FILES), keys.public_of(self.developer), USUAL)

    def roots(self) -> dict[str, bytes]:
        """Whom a site trusts."""
        return roots_of(self.root)


def fault(what: Callable[[], object]) -> str:
    """The detail of what is raised; its text is whole."""
    with pytest.raises(Invalid) as caught:
        what()
    for lang in LANGUAGES:
        assert "?" not in "".join(explain(caught.value, lang))
    return caught.value.detail


WORLD = World()


def test_a_root_stands_for_what_it_signed_itself() -> None:
    """Without any certificate."""
    assert voucher(WORLD.package(), roots_of(WORLD.market), NOW) == id_of(WORLD.market)


def test_rule_g5_a_root_stands_for_what_a_key_signed_that_it_certified() -> None:
    """From the first second to the last, both within it."""
    made = WORLD.package(WORLD.certificate())
    for now in (NOW - DAY, NOW, NOW + DAY):
        assert voucher(made, WORLD.roots(), now) == id_of(WORLD.root)
    late = lambda: voucher(made, WORLD.roots(), NOW + DAY + timedelta(seconds=1))  # noqa: E731
    early = lambda: voucher(made, WORLD.roots(), NOW - DAY - timedelta(seconds=1))  # noqa: E731
    assert (fault(late), fault(early)) == ("package_certificate_expired", "package_certificate_early")


def test_nobody_stands_for_keys_that_are_not_known() -> None:
    """Neither for the key of a package, nor for the root of its certificate, nor for no signature."""
    stranger = roots_of(keys.generate())
    assert fault(lambda: voucher(WORLD.package(), WORLD.roots(), NOW)) == "package_key_unknown"
    certified = WORLD.package(WORLD.certificate())
    assert fault(lambda: voucher(certified, stranger, NOW)) == "package_root_unknown"
    unsigned = read_package(io.BytesIO(gzip(tar(entries()))), on_paper())
    assert fault(lambda: voucher(unsigned, WORLD.roots(), NOW)) == "package_unsigned"


def test_a_developer_is_no_marketplace() -> None:
    """Its key may even be trusted: it did not sign as one."""
    mark = Entry(name=SignedAs.DEVELOPER.path, data=signatures.write(listing(FILES), WORLD.root))
    made = read_package(io.BytesIO(gzip(tar(entries(more=[mark])))), on_paper())
    assert fault(lambda: voucher(made, WORLD.roots(), NOW)) == "package_unsigned"


def test_rule_g5_the_mark_of_a_developer_neither_goes_nor_changes_unseen() -> None:
    """Whoever holds the file may try: what the marketplace signed says whose package it is."""
    plain, bob = listing(FILES), keys.generate()
    other = naming(plain, keys.public_of(bob), USUAL)

    def judged(listed: bytes, signed: bytes, developer: Ed25519PrivateKey | None) -> str:
        marks = {SignedAs.MARKETPLACE.path: signatures.write(signed, WORLD.root)}
        if developer is not None:
            marks[SignedAs.DEVELOPER.path] = signatures.write(listed, developer)
        extra = [Entry(name=name, data=mark) for name, mark in marks.items()]
        made = read_package(io.BytesIO(gzip(tar(entries(FILES, listed, extra)))), on_paper())
        return voucher(made, WORLD.roots(), NOW)

    assert judged(WORLD.listed, WORLD.listed, WORLD.developer) == id_of(WORLD.root)
    for developer in (None, bob):
        gone = lambda: judged(WORLD.listed, WORLD.listed, developer)  # noqa: B023, E731
        assert fault(gone) == "package_developer_exchanged"
    for listed, developer in ((plain, None), (other, bob)):
        assert fault(lambda: judged(listed, WORLD.listed, developer)) == "package_signature"  # noqa: B023


def test_both_signatures_are_over_the_bytes_of_the_manifest() -> None:
    """Contract §5, by nothing but the cryptography: also where the manifest does not name a developer."""
    for listed in (listing(FILES), WORLD.listed):
        marks = {one.path: _three_members(listed, WORLD.developer) for one in SignedAs}
        extra = [Entry(name=name, data=data) for name, data in marks.items()]
        made = read_package(io.BytesIO(gzip(tar(entries(FILES, listed, extra)))), on_paper())
        assert voucher(made, roots_of(WORLD.developer), NOW) == id_of(WORLD.developer)
    for mark in (WORLD.package().developer, WORLD.package().marketplace):
        assert mark is not None
        assert mark.public_key is not None
        Ed25519PublicKey.from_public_bytes(mark.public_key).verify(mark.signature, WORLD.package().listing)


def test_rule_g5_nobody_puts_a_developer_beside_a_marketplace_that_named_none() -> None:
    """Whoever holds the file may add a mark; it is nobody's."""
    plain = listing(FILES)
    marks = {
        SignedAs.MARKETPLACE.path: signatures.write(plain, WORLD.root),
        SignedAs.DEVELOPER.path: signatures.write(plain, keys.generate()),
    }
    extra = [Entry(name=name, data=data) for name, data in marks.items()]
    made = read_package(io.BytesIO(gzip(tar(entries(FILES, plain, extra)))), on_paper())
    assert voucher(made, WORLD.roots(), NOW) == id_of(WORLD.root)
    assert made.developer is not None
    assert made.developer.public_key is None


def test_a_signature_of_an_earlier_form_is_named_as_such() -> None:
    """Which had the developer beside it, and was over that as well."""
    old = json.loads(signatures.write(WORLD.listed, WORLD.market))
    old["developer"] = base64.b64encode(keys.public_of(WORLD.developer)).decode()
    package = lambda: WORLD.package(**{SignedAs.MARKETPLACE.path: json.dumps(old).encode()})  # noqa: E731
    assert fault(package) == "package_signed_before"


def _three_members(listed: bytes, private: Ed25519PrivateKey) -> bytes:
    """A signature as the contract has it."""
    signature = base64.b64encode(private.sign(listed)).decode()
    return json.dumps({"key_id": id_of(private), "algorithm": "ed25519", "signature": signature}).encode()


def test_a_certificate_is_worth_nothing_under_another_name() -> None:
    """Who writes the root's id on a certificate of his own is found out."""
    forged = json.loads(certificates.write(keys.public_of(WORLD.market), NOW, NOW + DAY, keys.generate()))
    forged["certificate"]["root"] = id_of(WORLD.root)
    made = WORLD.package(json.dumps(forged).encode())
    assert fault(lambda: voucher(made, WORLD.roots(), NOW)) == "package_root_signature"


@pytest.mark.parametrize(
    ("key", "value", "detail"),
    [
        ("not_after", "2099-01-01T00:00:00Z", "package_root_signature"),
        ("not_after", "2001-01-01T00:00:00Z", "package_json_value"),
        ("not_after", "2026-13-01T00:00:00Z", "package_json_value"),
        ("not_after", "tomorrow", "package_json_value"),
        ("key_id", "0" * 16, "package_key_id"),
        ("format", 2, "package_format"),
        ("may", "everything", "package_json_unknown"),
        ("may", {"\udfff": 1}, "package_json_value"),
        ("root", "me", "package_json_value"),
    ],
)
def test_a_certificate_that_was_changed_is_refused(key: str, value: Any, detail: str) -> None:
    """When it is read, or by the root's signature."""
    told = json.loads(WORLD.certificate())
    told["certificate"][key] = value
    data = json.dumps(told).encode()
    assert fault(lambda: certificates.read(data).require(WORLD.roots(), NOW)) == detail


def test_a_certificate_may_be_written_in_any_form() -> None:
    """What is signed is what it says, not its spaces and the order of its keys (RFC 8785)."""
    told = json.loads(WORLD.certificate())
    data = json.dumps(
        {"signature": told["signature"], "certificate": dict(reversed(told["certificate"].items()))}
    )
    read = certificates.read(data.encode())
    read.require(WORLD.roots(), NOW)
    assert read == certificates.read(WORLD.certificate())


def test_canonical_form_is_that_of_rfc_8785() -> None:
    """Sorted, without spaces, nothing escaped that need not be (§3.2.2.2 and its example of strings)."""
    told = {"b": 1, "a": '\u20ac$\u000f\nA\'B"\\\\"/', "c": [True, None, {}]}
    assert canonical(told) == '{"a":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/","b":1,"c":[true,null,{}]}'.encode()


def test_documents_are_not_taken_for_each_other() -> None:
    """A root signs many kinds: none passes as another."""
    made = {
        "certificate": WORLD.certificate(),
        "revocations": revocations.write(1, NOW, [], [], WORLD.root),
        "license": licences.write("com.example.spam", "Ann", NOW, WORLD.root),
    }
    readers: dict[str, Callable[[bytes], object]] = {
        "certificate": certificates.read,
        "revocations": revocations.read,
        "license": licences.read,
    }
    for kind, data in made.items():
        body = json.loads(data)
        for other, read in readers.items():
            if other == kind:
                read(data)
                continue
            assert fault(partial(read, data)) == "package_json_missing"
            renamed = json.dumps({other: body[kind], "signature": body["signature"]}).encode()
            assert fault(partial(read, renamed)).startswith("package_json_")


def test_rule_g5_what_is_revoked_is_not_stood_for() -> None:
    """By the key of the marketplace, of the developer, or by the package; only where its own root says so."""
    made, other = WORLD.package(WORLD.certificate()), keys.generate()
    roots = roots_of(WORLD.root, other)

    def said(
        package: Package, key_ids: list[str], manifests: list[str], root: Ed25519PrivateKey
    ) -> str | None:
        listed = revocations.read(revocations.write(3, NOW, key_ids, manifests, root))
        (one,) = (one for one in check(package, roots, [listed], NOW) if one.name == "revocations")
        return None if one.error is None else one.error.detail

    for detail, key_ids, manifests in (
        ("package_key_revoked", [id_of(WORLD.market)], []),
        ("package_key_revoked", [id_of(WORLD.developer)], []),
        ("package_manifest_revoked", [], [made.digest]),
    ):
        assert said(made, key_ids, manifests, WORLD.root) == detail
        assert said(made, key_ids, manifests, other) is None
    alone = read_package(io.BytesIO(gzip(tar(entries()))), on_paper())
    assert said(alone, [], [alone.digest], other) == "package_manifest_revoked"
    assert said(made, [], [made.digest], keys.generate()) == "package_root_unknown"


def test_a_revocation_list_goes_on_from_the_one_before() -> None:
    """Its serial rises, nothing leaves it, and another root cannot continue it."""
    first = revocations.read(revocations.extended(None, ["0" * 16], [], issued_at=NOW, root=WORLD.root))
    data = revocations.extended(first, ["1" * 16], ["a" * 64], issued_at=NOW, root=WORLD.root)
    second = revocations.read(data)
    assert (first.serial, second.serial) == (1, 2)
    assert second.keys == {"0" * 16, "1" * 16}
    assert second.manifests == {"a" * 64}
    stranger = lambda: revocations.extended(first, [], [], issued_at=NOW, root=keys.generate())  # noqa: E731
    assert fault(stranger) == "package_root_unknown"


@pytest.mark.parametrize(
    ("key", "value", "detail"),
    [
        ("serial", 9, "package_root_signature"),
        ("serial", -1, "package_json_value"),
        ("keys", [], "package_root_signature"),
        ("keys", ["x"], "package_json_value"),
        ("keys", "0" * 16, "package_json_value"),
        ("manifests", [1], "package_json_value"),
        ("manifests", ["\ud800"], "package_json_value"),
    ],
)
def test_a_revocation_list_that_was_changed_is_refused(key: str, value: Any, detail: str) -> None:
    """When it is read, or by the root's signature."""
    told = json.loads(revocations.write(1, NOW, ["0" * 16], [], WORLD.root))
    told["revocations"][key] = value
    data = json.dumps(told).encode()
    assert fault(lambda: revocations.read(data).signed.require_root(WORLD.roots())) == detail


def test_a_licence_is_for_a_plugin_a_holder_and_a_time() -> None:
    """It holds to its last second, under roots that are trusted."""
    data = licences.write("com.example.spam", "Example Ltd", NOW, WORLD.root)
    licence = WORLD.package(**{licences.NAME: data}).licence
    assert licence is not None
    assert (licence.plugin, licence.holder, licence.not_after) == ("com.example.spam", "Example Ltd", NOW)
    licence.require(WORLD.roots(), NOW)
    late = lambda: licence.require(WORLD.roots(), NOW + timedelta(seconds=1))  # noqa: E731
    assert fault(late) == "package_licence_expired"
    assert fault(lambda: licence.require({}, NOW)) == "package_root_unknown"
    other = licences.write("com.example.other", "Example Ltd", NOW, WORLD.root)
    assert fault(lambda: WORLD.package(**{licences.NAME: other})) == "package_licence_plugin"
    half = data.replace(b"Example Ltd", rb"Example \ud800")
    assert fault(lambda: WORLD.package(**{licences.NAME: half})) == "package_json_value"


def test_a_signature_without_its_key_is_checked_against_one_at_hand() -> None:
    """As the contract has it: three members are enough."""
    told = json.loads(signatures.write(WORLD.listed, WORLD.root))
    bare = json.dumps({name: one for name, one in told.items() if name != "public_key"}).encode()
    made = WORLD.package(**{SignedAs.MARKETPLACE.path: bare})
    assert made.marketplace is not None
    assert made.marketplace.public_key is None
    assert voucher(made, WORLD.roots(), NOW) == id_of(WORLD.root)
    wrong = {id_of(WORLD.root): keys.public_of(WORLD.market)}
    assert fault(lambda: voucher(made, wrong, NOW)) == "package_other_key"
    verify(made.marketplace, WORLD.listed, keys.public_of(WORLD.root))
    mark = made.marketplace
    assert fault(lambda: verify(mark, b"x", keys.public_of(WORLD.root))) == "package_signature"


def test_who_signs_with_a_certificate_signs_with_its_key() -> None:
    """The certificate of another key is refused while signing, and while reading."""
    foreign = certificates.write(keys.public_of(keys.generate()), NOW, NOW + DAY, WORLD.root)
    assert fault(lambda: signatures.write(WORLD.listed, WORLD.market, foreign)) == "key_other_certificate"
    told = json.loads(signatures.write(WORLD.listed, WORLD.market, WORLD.certificate()))
    told["certificate"] = json.loads(foreign)
    mark = json.dumps(told).encode()
    assert fault(lambda: WORLD.package(**{SignedAs.MARKETPLACE.path: mark})) == "package_key_id"


def test_a_certificate_ends_after_it_begins() -> None:
    """Otherwise it would never be valid."""
    assert fault(lambda: WORLD.certificate(DAY, -DAY)) == "key_never_valid"


def test_every_check_is_told() -> None:
    """With nobody trusted signatures stay open; with somebody they pass or fail; nothing is left out."""
    made = WORLD.package(
        WORLD.certificate(), **{licences.NAME: licences.write("com.example.spam", "Ann", NOW, WORLD.root)}
    )

    def states(made: Package, roots: dict[str, bytes], *lists: bytes) -> dict[str, CheckState]:
        found = list(check(made, roots, [revocations.read(one) for one in lists], NOW))
        assert all((one.error is not None) == (one.state is CheckState.FAILED) for one in found)
        return {one.name: one.state for one in found}

    passed, failed, absent, open_ = CheckState.PASSED, CheckState.FAILED, CheckState.ABSENT, CheckState.OPEN
    always = {"archive": passed, "manifest": passed}
    assert states(made, {}) == {**always, "developer": passed, "marketplace": open_, "license": open_}
    assert states(made, WORLD.roots()) == {
        **always,
        "developer": passed,
        "marketplace": passed,
        "license": passed,
    }
    stranger = roots_of(keys.generate())
    assert states(made, stranger) == {**always, "developer": passed, "marketplace": failed, "license": failed}
    bare = read_package(io.BytesIO(gzip(tar(entries()))), on_paper())
    assert states(bare, {}) == {**always, "developer": absent, "marketplace": absent, "license": absent}
    assert states(bare, stranger)["marketplace"] is failed
    for key_ids, state in (([], passed), ([id_of(WORLD.market)], failed)):
        revoked = revocations.write(1, NOW, key_ids, [], WORLD.root)
        assert states(made, WORLD.roots(), revoked)["revocations"] is state
        assert states(made, stranger, revoked)["revocations"] is failed


def test_a_key_is_made_once_for_its_owner_only(tmp_path: Path) -> None:
    """Mode 0600, whatever the umask; neither half ever replaces a file."""
    made = key_files.generate(tmp_path / "k")
    assert stat.S_IMODE((tmp_path / "k").stat().st_mode) == 0o600
    private = keys.read_private((tmp_path / "k").read_bytes())
    assert keys.read_public((tmp_path / "k.pub").read_bytes()) == keys.public_of(private)
    assert made.id == id_of(private)
    with pytest.raises(Conflict):
        key_files.generate(tmp_path / "k")
    (tmp_path / "k").unlink()
    with pytest.raises(Conflict):
        key_files.generate(tmp_path / "k")
    assert not (tmp_path / "k").exists()
    assert keys.read_private(keys.private_pem(private)).private_bytes_raw() == private.private_bytes_raw()


def test_a_key_under_a_passphrase_needs_it(tmp_path: Path) -> None:
    """Nothing of it can be used, or named, without."""
    key_files.generate(tmp_path / "k", "correct horse")
    pem = (tmp_path / "k").read_bytes()
    assert keys.read_private(pem, "correct horse")
    assert fault(lambda: keys.read_private(pem)) == "key_needs_passphrase"
    assert fault(lambda: keys.read_private(pem, "wrong")) == "key_wrong_passphrase"
    private, public = key_files.list_in(tmp_path)
    assert (private.kind, private.id, private.encrypted) == (KeyKind.PRIVATE, None, True)
    assert (public.kind, public.encrypted) == (KeyKind.PUBLIC, False)


def test_what_is_no_key_of_ours_is_refused(tmp_path: Path) -> None:
    """The wrong half, another algorithm, no key at all."""
    rsa = generate_private_key(65537, 2048)
    rsa_private = rsa.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    rsa_public = rsa.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    pem = keys.private_pem(WORLD.root)
    public = keys.public_pem(keys.public_of(WORLD.root))
    assert fault(lambda: keys.read_public(pem)) == "key_is_private"
    for data in (b"", b"x", rsa_public, public[:-30]):
        assert fault(partial(keys.read_public, data)) == "key_not_public"
    for data in (b"", b"x", rsa_private, public, pem[:60]):
        assert fault(partial(keys.read_private, data)) == "key_not_private"
    (tmp_path / "rsa").write_bytes(rsa_private)
    (tmp_path / "long").write_bytes(pem + b"\n" * 20_000)
    (tmp_path / "text").write_text("hello")
    os.mkfifo(tmp_path / "pipe")
    assert key_files.list_in(tmp_path) == []
    assert fault(lambda: key_files.read(tmp_path / "long")) == "key_too_long"


def test_keys_are_in_the_forms_that_other_tools_read(tmp_path: Path) -> None:
    """RFC 8410 §4 and §7: a fixed beginning, then the 32 bytes."""
    made = key_files.generate(tmp_path / "k")
    private, public = (
        base64.b64decode("".join((tmp_path / name).read_text().splitlines()[1:-1])) for name in ("k", "k.pub")
    )
    assert public[:12].hex() == "302a300506032b6570032100"
    assert private[:16].hex() == "302e020100300506032b657004220420"
    assert hashlib.sha256(public[12:]).hexdigest()[:16] == made.id
    assert keys.public_of(Ed25519PrivateKey.from_private_bytes(private[16:])) == public[12:]
