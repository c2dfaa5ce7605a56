"""Which mail is wanted: whose it is, in which pack, and what is nowhere."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mairust_core.restore.wanted import Wanted
from mairust_core.transfer.repository import Repository
from tests.support.repositories import FakeSite, run


def kept(path: Path, mails: list[bytes], per_pack: int) -> Repository:
    """A repository of mail."""
    run(path, FakeSite(mail={"ann@x": mails}, per_pack=per_pack))
    return Repository.open(path)


def digest(data: bytes) -> bytes:
    """The id of a mail."""
    return hashlib.sha256(data).digest()


def test_rule_a3_each_mail_has_its_tenants(tmp_path: Path) -> None:
    """However often each wants it; of a pack only what somebody wants, in the order of its frames."""
    mails = [b"mail %d" % number for number in range(9)]
    repository = kept(tmp_path / "r", mails, 4)
    wanted = Wanted(repository.index)
    for number in (7, 5, 1, 5):
        wanted.add(digest(mails[number]), 1)
    for number in (5, 6):
        wanted.add(digest(mails[number]), 2)
    wanted.add(b"?" * 32, 1)
    assert (len(wanted), list(wanted.missing)) == (4, [(b"?" * 32).hex()])
    found: dict[bytes, frozenset[int]] = {}
    for pack, entries, tenants in wanted.packs():
        assert [one.offset for one in entries] == sorted(one.offset for one in entries)
        assert all(repository.index.place(one.id)[0] == pack for one in entries)
        found |= {one.id: tenants[one.id] for one in entries}
    owners = {7: {1}, 5: {1, 2}, 1: {1}, 6: {2}}
    assert found == {digest(mails[number]): frozenset(who) for number, who in owners.items()}
