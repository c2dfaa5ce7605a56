"""One JSON form: what is encoded decodes to the same value, what is wrong is named."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import Enum
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mairust_core import wire
from mairust_core.errors import Invalid, Usage
from mairust_core.i18n import explain
from mairust_core.model.account import Account, AccountChange, NewAccount, NewPassword
from mairust_core.model.alias import NewAlias
from mairust_core.model.backup import BackedUp, NewBackup, Verification, Wanted
from mairust_core.model.copies import AskedCopies, NewCopy, NewFolders
from mairust_core.model.domain import NewDomain
from mairust_core.model.forms import UNSET, Page, request
from mairust_core.model.hook import Fallback, HookType, Mode
from mairust_core.model.hook_forms import FilterForm, HookChange, NewHook
from mairust_core.model.ids import Id
from mairust_core.model.job import JobSelection
from mairust_core.model.mailbox import MailboxRename, NewMailbox
from mairust_core.model.message import Changed, Message, MessageRef
from mairust_core.model.message_change import MessageChange
from mairust_core.model.moment import Moment
from mairust_core.model.plugin_life import NewPluginToken, Rotation, TokenScope
from mairust_core.model.principal import ReachKind, Scope
from mairust_core.model.search import Rebuild
from mairust_core.model.token import NewToken
from mairust_core.model.trial import Replay
from mairust_core.model.trust import NewTrustKey
from mairust_core.operations import BytesIn, BytesOut, items_of
from mairust_core.services.messages import Messages
from mairust_core.services.registry import SERVICES

EACH = 15
"""Examples of a form: its fields are of the same few kinds as those of all others, which they are drawn for
together some ten thousand times."""

TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
LABEL = st.text("abcdefghijklmnopqrstuvwxyz0123456789", min_size=1, max_size=10)
DOMAIN = st.builds("{}.{}".format, LABEL, LABEL)
PLAIN_ADDRESS = st.builds("{}@{}".format, LABEL, DOMAIN)
TIMES = st.integers(0, 4_000_000_000_000).map(
    lambda ms: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
)
SUBJECTS = st.one_of(
    st.just({"reach": ReachKind.SITE, "subject": None}),
    st.builds(lambda s: {"reach": ReachKind.DOMAIN, "subject": s}, DOMAIN),
)

SHA256 = st.binary(min_size=32, max_size=32).map(bytes.hex)

LEVELS = st.lists(LABEL, min_size=1, max_size=3).map("/".join)
MAILBOX = LEVELS | st.sampled_from(("INBOX", "Quarantine", "会議/2026 & Co", "a.b+c"))
FLAGS = st.lists(st.sampled_from(["\\seen", "\\Draft", "$Junk", "a_b"]), max_size=3).map(tuple)
TAGS = st.lists(LABEL, max_size=3).map(tuple)
JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=4,
)
METADATA = st.dictionaries(LABEL, JSON_VALUES, max_size=2)
PRIORITY = st.integers(-1_000_000, 1_000_000)
FILTERS = st.builds(
    FilterForm,
    recipient_matches=st.none() | LABEL,
    subject_matches=st.none() | st.text(min_size=1, max_size=20).filter(str.isprintable),
    has_attachments=st.none() | st.booleans(),
    size_gt=st.none() | st.integers(0, 1 << 40),
)


def maybe(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """A field of a PATCH."""
    return st.just(UNSET) | values


REQUESTS: dict[type, st.SearchStrategy[Any]] = {
    NewDomain: st.builds(NewDomain, name=DOMAIN),
    NewAlias: st.builds(NewAlias, address=PLAIN_ADDRESS, to=st.lists(PLAIN_ADDRESS, min_size=1).map(tuple)),
    NewAccount: st.builds(
        NewAccount,
        address=PLAIN_ADDRESS,
        password=st.none() | st.text('pä$"\\ss\t', min_size=8, max_size=12),
        admin=st.booleans(),
        quota_bytes=st.none() | st.integers(0, (1 << 63) - 1),
    ),
    AccountChange: st.builds(
        AccountChange,
        quota_bytes=maybe(st.none() | st.integers(0, (1 << 63) - 1)),
        admin=maybe(st.booleans()),
    ),
    NewPassword: st.builds(NewPassword, password=st.text('pä$"\\ss\t', min_size=8, max_size=12)),
    NewMailbox: st.builds(NewMailbox, name=LEVELS.map("m{}".format)),
    MailboxRename: st.builds(MailboxRename, name=LEVELS.map("m{}".format), to=LEVELS.map("n{}".format)),
    MessageChange: st.one_of(
        st.builds(MessageChange, flags=maybe(FLAGS), tags=maybe(TAGS), metadata=maybe(METADATA)),
        st.builds(
            MessageChange,
            add_flags=FLAGS,
            remove_flags=FLAGS,
            add_tags=TAGS,
            remove_tags=TAGS,
            mailbox=maybe(LEVELS),
        ),
    ),
    JobSelection: st.builds(JobSelection, kind=st.sampled_from(["", "gc", "jobs.purge"])),
    NewToken: st.builds(
        lambda scopes, where, expires: NewToken(name="of tests", scopes=scopes, expires_at=expires, **where),
        st.lists(st.sampled_from(Scope), min_size=1).map(tuple),
        SUBJECTS,
        st.none() | TIMES,
    ),
    NewTrustKey: st.builds(NewTrustKey, name=LABEL, public_key=st.text(max_size=64)),
    NewBackup: st.builds(
        NewBackup, known=st.lists(st.text("0123456789abcdef", min_size=32, max_size=32)).map(tuple)
    ),
    Verification: st.builds(
        Verification,
        snapshots=st.lists(LABEL, min_size=1, max_size=3).map(tuple),
        percent=st.integers(0, 100),
        damaged=st.integers(0, 1 << 40),
    ),
    Wanted: st.builds(
        Wanted, objects=st.lists(st.text("0123456789abcdef", min_size=64, max_size=64), min_size=1).map(tuple)
    ),
    BackedUp: st.builds(
        BackedUp,
        repository=st.text("/backup", max_size=20),
        snapshot=st.text("0123456789-TZ", max_size=20),
        messages=st.integers(0, 1 << 40),
        objects_new=st.integers(0, 1 << 40),
        bytes_new=st.integers(0, 1 << 62),
        damaged=st.integers(0, 1 << 40),
    ),
    NewHook: st.builds(
        NewHook,
        name=LABEL,
        type=st.just(HookType.POST_RECEIVE),
        plugin=DOMAIN,
        enabled=st.booleans(),
        mode=st.sampled_from(Mode),
        priority=PRIORITY,
        timeout_ms=st.none() | st.integers(1, 300_000),
        on_timeout=st.sampled_from(Fallback),
        on_error=st.none() | st.sampled_from(Fallback),
        filter=FILTERS,
    ),
    HookChange: st.builds(
        HookChange,
        mode=maybe(st.sampled_from(Mode)),
        priority=maybe(PRIORITY),
        timeout_ms=maybe(st.integers(1, 300_000)),
        on_timeout=maybe(st.sampled_from(Fallback)),
        on_error=maybe(st.sampled_from(Fallback)),
        filter=maybe(FILTERS),
    ),
    Rotation: st.builds(Rotation, grace_s=st.integers(0, 30 * 86_400)),
    NewPluginToken: st.one_of(
        st.builds(NewPluginToken, scopes=st.just((TokenScope.METRICS,)), good_for_s=st.integers(60, 3600)),
        st.builds(NewPluginToken, scopes=st.just(tuple(TokenScope)), delivery=st.text()),
    ),
    Replay: st.builds(
        Replay,
        account=PLAIN_ADDRESS,
        since=st.none() | TIMES.map(Moment.of),
        limit=st.integers(1, 100),
        cursor=st.text("0123456789", max_size=20),
    ),
    Rebuild: st.builds(Rebuild, account=st.none() | PLAIN_ADDRESS),
    NewCopy: st.builds(
        NewCopy,
        mailbox=MAILBOX,
        sha256=SHA256,
        received_at=TIMES,
        copy=st.integers(1, 1 << 30),
        flags=st.lists(st.sampled_from(("\\Seen", "\\Draft", "$Forwarded", "later"))).map(tuple),
    ),
    AskedCopies: st.builds(AskedCopies, mailbox=MAILBOX, sha256=st.lists(SHA256, max_size=3).map(tuple)),
    NewFolders: st.builds(
        NewFolders, mailboxes=st.lists(MAILBOX).map(tuple), subscribed=st.just(("Tom & J",))
    ),
}


def dataclasses_of(kind: Any) -> Iterator[Any]:
    """The dataclass itself, or what it is a page of."""
    if dataclasses.is_dataclass(kind):
        yield kind
    for argument in get_args(kind):
        yield from dataclasses_of(argument)


ANSWERS = sorted(
    {
        kind
        for service in SERVICES
        for op in service.operations.values()
        for kind in dataclasses_of(op.returns)
        if kind is not BytesOut and items_of(kind) is None
    },
    key=str,
)
BODIES = {
    items_of(op.body_type) or op.body_type
    for service in SERVICES
    for op in service.operations.values()
    if op.body and op.body_type is not BytesIn
}


PLAIN: dict[Any, st.SearchStrategy[Any]] = {
    str: TEXT,
    bool: st.booleans(),
    int: st.integers(-(1 << 63), (1 << 63) - 1),
    Id: st.integers(0, (1 << 63) - 1).map(Id),
    float: st.floats(allow_nan=False, allow_infinity=False),
    Any: st.none()
    | st.booleans()
    | st.integers(-(1 << 63), (1 << 63) - 1)
    | TEXT
    | st.lists(TEXT, max_size=2),
    datetime: TIMES,
    type(None): st.none(),
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Any value that fits an annotation of the models, times as exact as the wire is."""
    if kind in PLAIN:
        return PLAIN[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(kind)
    arguments = get_args(kind)
    if get_origin(kind) is Literal:
        return st.sampled_from(arguments)
    if get_origin(kind) is dict:
        return (
            st.dictionaries(TEXT, values_of(arguments[1]), max_size=3)
            if arguments[1:] != (Any,)
            else METADATA
        )
    if get_origin(kind) is list:
        return st.lists(values_of(arguments[0]), max_size=3)
    if get_origin(kind) is tuple and arguments[-1] is ...:
        return st.lists(values_of(arguments[0]), max_size=3).map(tuple)
    if get_origin(kind) is tuple:
        return st.tuples(*map(values_of, arguments))
    if arguments:
        return st.one_of(*map(values_of, arguments))
    hints = get_type_hints(kind)
    return st.builds(kind, **{name: values_of(hint) for name, hint in hints.items()})


@pytest.mark.parametrize("kind", ANSWERS, ids=lambda kind: kind.__name__)
def test_every_answer_survives_the_wire(kind: Any) -> None:
    """Encoded and decoded, an answer is the same value; a later version's keys do not disturb it."""

    @settings(max_examples=EACH)
    @given(values_of(kind))
    def check(value: Any) -> None:
        sent = wire.dumps(value)
        assert wire.decode(kind, sent) == value
        assert wire.decode(kind, json.dumps({**json.loads(sent), "later": [1]})) == value

    check()


def test_a_page_survives_the_wire() -> None:
    """Lists are generic: a page of accounts comes back as one, its cursor with it."""

    @settings(max_examples=EACH)
    @given(st.lists(values_of(Account), max_size=3), st.none() | TEXT)
    def check(items: list[Account], cursor: str | None) -> None:
        page = Page(items=tuple(items), next_cursor=cursor)
        assert wire.decode(Page[Account], wire.dumps(page)) == page

    check()


@pytest.mark.parametrize("kind", sorted(BODIES, key=str), ids=lambda kind: kind.__name__)
def test_every_request_survives_the_wire(kind: Any) -> None:
    """What the proxy sends is, read strictly, what it was given."""

    @settings(max_examples=EACH)
    @given(REQUESTS[kind])
    def check(value: Any) -> None:
        assert wire.decode_request(kind, wire.dumps(value)) == value

    check()


def test_ids_are_strings_and_times_utc() -> None:
    """An id keeps all its digits in any reader; a time says that it is UTC; `from_` is `from`."""
    account = Account(
        id=Id((1 << 63) - 1), address="ann@x.example", admin=False, enabled=True, quota_bytes=None,
        used_bytes=1 << 60, messages=0, created_at=datetime(2026, 11, 22, 10, 55, 37, 120000, tzinfo=UTC),
    )  # fmt: skip
    encoded = wire.encode(account)
    assert encoded["id"] == "9223372036854775807"
    assert encoded["used_bytes"] == 1 << 60
    assert encoded["created_at"] == "2026-11-22T10:55:37.120Z"
    hints = {field.name: None for field in dataclasses.fields(Message)}
    assert "from" in wire.encode(Message(**hints))  # type: ignore[arg-type]  # only the names matter


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b'{"name": "x"} {}', "Extra data"),
        (b'{"name": "a", "name": "b"}', "'name' is there twice"),
        (b'{"a": {"b": 1, "b": 2}}', "'b' is there twice"),
        (b'{"name": NaN}', "NaN"),
        (b'{"name": -Infinity}', "Infinity"),
        (b'{"name": 1e999}', "not a finite number"),
        (b'{"name": "\xff"}', "byte 10 is not UTF-8"),
        (b'\xef\xbb\xbf{"name": "x.example"}', "BOM"),
        (b"[" * 100_000, "nested too deeply"),
        (b'{"name": ' + b"1" * 5000 + b"}", "digits"),
    ],
    ids=range(12),
)
def test_what_is_no_plain_json_is_a_usage_error(data: bytes, why: str) -> None:
    """Two readers never see two things in one document: what could be read differently is refused."""
    with pytest.raises(Usage, match=why):
        wire.decode_request(NewDomain, data)


@pytest.mark.parametrize(
    ("data", "field"),
    [
        (b"{}", "name"),
        (b"[]", "body"),
        (b"null", "body"),
        (b'"x.example"', "body"),
        (b'{"name": 5}', "name"),
        (b'{"name": null}', "name"),
        (b'{"name": ["x.example"]}', "name"),
        (b'{"name": "x.example", "owner": 1}', "owner"),
        (b'{"name": "no domain"}', "name"),
        (b'{"name": "\\ud800.example"}', "body"),
    ],
    ids=range(10),
)
def test_a_wrong_value_is_named(data: bytes, field: str) -> None:
    """The error names the first field that is wrong; nothing is converted."""
    with pytest.raises(Invalid) as refused:
        wire.decode_request(NewDomain, data)
    assert refused.value.values["field"] == field


@pytest.mark.parametrize(
    ("kind", "data", "field"),
    [
        (HookChange, b'{"filter": {"nope": 1}}', "filter.nope"),
        (HookChange, b'{"filter": {"size_gt": "x"}}', "filter.size_gt"),
        (HookChange, b'{"filter": {"FilterForm": 1}}', "filter.FilterForm"),
        (HookChange, b'{"FilterForm": 1}', "FilterForm"),
        (HookChange, b'{"filter": 1}', "filter"),
        (HookChange, b'{"mode": 4}', "mode"),
        (HookChange, b'{"priority": "x"}', "priority"),
        (HookChange, b'{"int": 1}', "int"),
        (NewToken, b'{"name": "x", "scopes": ["root"]}', "scopes.0"),
        (MessageChange, b'{"add_tags": [3]}', "add_tags.0"),
    ],
)
def test_a_field_deep_inside_is_named_as_on_the_wire(kind: Any, data: bytes, field: str) -> None:
    """No name of a class of ours stands in it, also where a value may be of several types."""
    with pytest.raises(Invalid) as refused:
        wire.decode_request(kind, data)
    assert refused.value.values["field"] == field


@pytest.mark.parametrize("lang", ["en", "ja"])
def test_a_wrong_choice_is_answered_with_the_choices(lang: str) -> None:
    """Of a list, of a field, of one that may be null: all that may stand there are named."""
    for kind, data, known in (
        (NewToken, b'{"name": "x", "scopes": ["root"]}', "read, write, send, admin"),
        (NewHook, b'{"name": "a", "plugin": "p", "type": "x"}', "pre_receive, pre_delivery, post_receive"),
        (HookChange, b'{"mode": "x"}', "enforce, shadow"),
    ):
        with pytest.raises(Invalid) as refused:
            wire.decode_request(kind, data)
        assert known in explain(refused.value, lang)[1]


def test_trap_a3_an_error_does_not_repeat_the_value() -> None:
    """A password that is refused is in no error text and in no chained exception."""
    secret = "hunter2 hunter2"
    body = json.dumps({"address": "ann@x.example", "password": secret, "admin": "yes"}).encode()
    with pytest.raises(Invalid) as refused:
        wire.decode_request(NewAccount, body)
    chain = [refused.value, refused.value.__cause__, refused.value.__context__]
    assert secret not in "".join(map(repr, chain)) + str(refused.value)


@request
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """A request with one field of each simple kind."""

    number: int = 0
    flag: bool = False


@pytest.mark.parametrize(
    "data", [b'{"number": "5"}', b'{"number": 5.0}', b'{"flag": 1}', b'{"flag": "true"}']
)
def test_requests_are_read_strictly(data: bytes) -> None:
    """A text is no number and a number no flag."""
    with pytest.raises(Invalid):
        wire.decode_request(Sample, data)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (int, "5", 5),
        (int, "-5", -5),
        (int | None, "5", 5),
        (bool, "true", True),
        (bool, "True", True),
        (bool, "false", False),
        (str, "5", "5"),
        (datetime, "2027-01-31T00:00:00Z", datetime(2027, 1, 31, tzinfo=UTC)),
        (datetime | None, "2027-01-31 00:00:00.5+00:00", datetime(2027, 1, 31, 0, 0, 0, 500000, tzinfo=UTC)),
    ],
)
def test_parameters_are_read_by_their_type(kind: Any, text: str, value: object) -> None:
    """Query and path parameters are texts that stand for values."""
    assert wire.decode_text(kind, "x", text) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *((int, text) for text in ("", "5x", "1e3", "5.0", "+5", " 5", "1_0", "٥")),
        (int | None, "5.0"),
        *((bool, text) for text in ("maybe", "", "1", "0", "yes", "on", "t")),
        *(
            (datetime, text)
            for text in ("2026", "2026-01-31", "1767225600", "2026-13-31T00:00:00Z", "2026-01-31T99")
        ),
        (datetime | None, "2026-02-30T00:00:00Z"),
    ],
)
def test_a_wrong_parameter_is_named(kind: Any, text: str) -> None:
    """The error names the parameter."""
    with pytest.raises(Invalid, match=r"^limit: "):
        wire.decode_text(kind, "limit", text)


@pytest.mark.parametrize("lang", ["en", "ja"])
@pytest.mark.parametrize("text", ["2026", "2026-02-30T00:00:00Z"])
def test_a_time_in_a_query_is_not_quoted(text: str, lang: str) -> None:
    """The hint is one for queries: what a JSON document wants is wrong there."""
    with pytest.raises(Invalid) as refused:
        wire.decode_text(datetime, "date", text)
    assert '"' not in explain(refused.value, lang)[1]


def test_a_change_answered_by_an_older_server_is_read_whole() -> None:
    """It told no metadata; only the answer that tells nothing but the id is one to a key without `read`."""
    old = {
        "id": "7", "account": "a@x.example", "mailbox": "INBOX", "uid": 1, "size": 9,
        "received_at": "2026-01-01T00:00:00.000Z", "date": None, "from": [], "to": [], "cc": [],
        "subject": "s", "message_id": "", "thread_id": "7", "flags": ["\\Flagged"], "tags": [],
        "preview": "", "has_attachments": False, "deleted_at": None,
    }  # fmt: skip
    answers = Messages.operations["change"].answers
    found = wire.decode(answers, json.dumps(old))
    assert isinstance(found, Changed), found
    assert (found.flags, found.metadata) == (("\\Flagged",), {})
    assert wire.decode(answers, '{"id":"7"}') == MessageRef(id=Id(7))
