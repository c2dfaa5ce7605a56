"""What the audit keeps of a call: every member of every form that is no secret, and nothing else."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from mairust_core import wire
from mairust_core.model.account import Account, AccountChange
from mairust_core.model.audit import Entry, EntryDetails
from mairust_core.model.forms import Page, request
from mairust_core.model.ids import Id
from mairust_core.model.principal import Scope
from mairust_core.operations import BytesIn, Operation, Service, operation
from mairust_core.operations.asked import MAX_BYTES, asking, bounded, details, note_before, told
from mairust_core.services.registry import SERVICES

PASSWORD = "correct horse battery staple"
MEMBERS = {
    "AccountChange": "admin quota_bytes",
    "AskedCopies": "mailbox sha256",
    "BackedUp": "bytes_new damaged messages objects_new repository snapshot",
    "HookChange": "filter mode on_error on_timeout priority timeout_ms",
    "JobSelection": "kind",
    "MailboxRename": "name to",
    "MessageChange": "add_flags add_tags flags mailbox metadata remove_flags remove_tags tags",
    "NewAccount": "address admin quota_bytes",
    "NewAlias": "address to",
    "NewBackup": "known",
    "NewDomain": "name",
    "NewFolders": "mailboxes subscribed",
    "NewHook": "enabled filter mode name on_error on_timeout plugin priority timeout_ms type",
    "NewMailbox": "name",
    "NewPassword": "",
    "NewPluginToken": "delivery good_for_s scopes",
    "NewToken": "expires_at name reach scopes subject",
    "NewTrustKey": "although_revoked name public_key",
    "Rebuild": "account",
    "Replay": "account cursor limit since",
    "Rotation": "grace_s",
    "Verification": "damaged percent repository snapshots",
    "Wanted": "objects",
}
"""By form, the members that the audit tells. Who adds one decides here whether it is a secret; if it is, mark
it with `repr=False` and leave it out."""


def forms() -> Iterator[tuple[Operation, Any]]:
    """Every operation that takes a form, with it."""
    for kind in SERVICES:
        for op in kind.operations.values():
            if op.method != "GET" and op.body_type is not None and not op.takes_stream:
                yield op, op.body_type


def filled(form: Any) -> Any:
    """A form whose every member is its own name; what it asks of them is not asked."""
    made = object.__new__(form)
    for one in dataclasses.fields(form):
        object.__setattr__(made, one.name, f"<{one.name}>")
    return made


def test_every_member_of_every_form_is_told_or_is_a_secret() -> None:
    """A new one fails here until somebody said which of the two it is."""
    found = {form.__name__: " ".join(sorted(told(filled(form)))) for _, form in forms()}
    assert found == MEMBERS


def test_what_is_marked_as_secret_is_told_by_no_operation() -> None:
    """Neither the member nor its value, wherever it stands."""
    secrets = {
        f"{form.__name__}.{one.name}"
        for _, form in forms()
        for one in dataclasses.fields(form)
        if not one.repr
    }
    assert secrets == {"NewAccount.password", "NewPassword.password"}
    for op, form in forms():
        with asking({"id": "7", op.body or "": filled(form)}):
            text = wire.dumps(details({})).decode()
        for one in dataclasses.fields(form):
            assert (f"<{one.name}>" in text) is one.repr, f"{op.id}: {one.name}"


def test_no_parameter_has_the_name_of_a_member() -> None:
    """Else one of the two would be lost: both are members of `asked`."""
    for op, form in forms():
        assert not {one.name for one in dataclasses.fields(form)} & {*op.path_params}, op.id


@request
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """A form inside a form."""

    passphrase: str


@request
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    """Whose member is marked, but not that of the form inside."""

    password: str = dataclasses.field(repr=False)
    inner: Inner | None = None


def test_a_secret_that_is_not_marked_is_refused_at_import() -> None:
    """Also in a form inside the form; the error says how to mark it."""
    with pytest.raises(TypeError, match=r"^things\.add: passphrase .*repr=False"):

        class Things(Service):
            @operation("POST", "/things", scope=Scope.WRITE)
            def add(self, new: Outer) -> str:
                """Add."""
                raise NotImplementedError


def test_it_is_told_in_the_words_of_the_api() -> None:
    """What was not given is not there, ids and times are as on the wire, bytes are nowhere."""
    with asking(
        {"id": Id(7), "wanted": AccountChange(quota_bytes=5), "at": datetime(2026, 1, 2, tzinfo=UTC)}
    ):
        assert details({"version": "1.0"}).asked == {
            "id": "7", "at": "2026-01-02T00:00:00.000Z", "quota_bytes": 5, "version": "1.0",
        }  # fmt: skip
    with asking({"package": BytesIn(chunks=[b"bytes"]), "upgrade": False}):
        assert details({}).asked == {"upgrade": False}
    assert details({"directory": "/x"}) == EntryDetails(asked={"directory": "/x"})


ACCOUNT = Account(
    id=Id(7), address="ann@example.org", admin=False, enabled=True, quota_bytes=None, used_bytes=0,
    messages=0, created_at=datetime(2026, 1, 2, tzinfo=UTC),
)  # fmt: skip


def test_before_has_what_was_asked_to_change() -> None:
    """By the members of the body; by name where there is none; all where neither is."""
    with asking({"address": "ANN@example.org", "wanted": AccountChange(quota_bytes=5)}):
        note_before(ACCOUNT)
        assert details({}).before == {"quota_bytes": None}
    with asking({"address": "ann@example.org"}):
        note_before(ACCOUNT, "enabled")
        assert details({}).before == {"enabled": True}
    with asking({"address": "ann@example.org"}):
        note_before(ACCOUNT)
        assert details({}).before == wire.encode(ACCOUNT)
    note_before(ACCOUNT)
    assert details({}) == EntryDetails()


def test_a_call_inside_another_has_its_own() -> None:
    """And the outer one has its own again afterwards, also when the inner failed."""
    with asking({"outer": 1}):
        with asking({"inner": 2}):
            note_before({"x": 1})
            assert details({}) == EntryDetails(asked={"inner": 2}, before={"x": 1})
        assert details({}) == EntryDetails(asked={"outer": 1})
        with pytest.raises(ValueError, match="inner"), asking({"inner": 2}):
            raise ValueError("inner")
        assert details({}) == EntryDetails(asked={"outer": 1})


@pytest.mark.parametrize(
    "value", ["é" * 9000, "\0" * 9000, ["é" * 90] * 90, {"a": '\\"' * 9000}, "\ud800" * 9000]
)
def test_what_is_too_long_is_cut_where_one_sees_it(value: Any) -> None:
    """It ends in an ellipsis, the short values beside it stay what they are."""
    found = bounded(EntryDetails(asked={"long": value, "short": 7}, before={"short": None}))
    assert found.cut
    assert (found.asked["short"], found.before) == (7, {"short": None})
    assert isinstance(found.asked["long"], str)
    assert found.asked["long"].endswith("…")
    assert len(found.asked["long"]) > 100
    assert len(wire.dumps(found)) <= MAX_BYTES


def test_the_widest_form_fits_however_long_its_members_are() -> None:
    """Beside as much that was there before."""
    widest = max((form for _, form in forms()), key=lambda form: len(dataclasses.fields(form)))
    names = [one.name for one in dataclasses.fields(widest)] + ["address", "id"]
    long = dict.fromkeys(names, "\0" * 99_999)
    assert len(wire.dumps(bounded(EntryDetails(asked=long, before=long)))) <= MAX_BYTES


def test_what_fits_is_not_cut() -> None:
    """Up to the last octet."""
    room = MAX_BYTES - len(wire.dumps(EntryDetails(asked={"a": ""})))
    assert not bounded(EntryDetails(asked={"a": "x" * room})).cut
    assert bounded(EntryDetails(asked={"a": "x" * (room + 1)})).cut


def test_an_older_server_tells_no_details() -> None:
    """Its entries are read as before."""
    old = {
        "id": "7",
        "at": "2026-01-02T00:00:00.000Z",
        "actor": "token:x",
        "operation": "a.b",
        "subject": "s",
    }
    (entry,) = wire.decode(Page[Entry], json.dumps({"items": [old], "next_cursor": None})).items
    assert (entry.subject, entry.details) == ("s", None)
