"""Names of folders, there and here (trap M2)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mairust_core.errors import Invalid
from mairust_core.model.copies import target_name
from mairust_core.model.mailbox import fitting_name
from mairust_core.transfer.names import (
    UNLIMITED,
    Mapping,
    Names,
    decode_utf7,
    decoded_part,
    encode_utf7,
    file_parts,
    folder_mailbox,
    is_renamed,
    nested_directory,
    plus_plus_directory,
    plus_plus_levels,
)

PART = st.text(
    st.characters(codec="utf-8", exclude_characters="/", categories=("L", "N", "P", "S")), min_size=1
)
MAILBOX = st.lists(PART, min_size=1, max_size=3).map("/".join).filter(lambda name: name.upper() != "INBOX")


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("&U9dP4Xux-", "受信箱"),
        ("Tom &- Jerry", "Tom & Jerry"),
        ("&ANw-n&AO8-c&APg-d&AOk- &- Co", "Ünïcødé & Co"),
        ("emoji &2D3eAA-", "emoji 😀"),
        ("&AC4-hidden", ".hidden"),
        ("plain", "plain"),
        ("&broken", "&broken"),
        ("&!!!-", "&!!!-"),
        ("&2D0-", "&2D0-"),
        ("已發送", "已發送"),
    ],
)
def test_trap_m2_modified_utf7_is_read(written: str, name: str) -> None:
    """RFC 3501 §5.1.3; what is none stays as it is, UTF-8 too."""
    assert decode_utf7(written) == name


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_modified_utf7_comes_back(name: str) -> None:
    """Any name, written and read, is itself, and what is written is ASCII."""
    assert decode_utf7(encode_utf7(name)) == name
    assert encode_utf7(name).isascii()


@given(st.lists(MAILBOX.map(lambda name: fitting_name(name * 40)), min_size=2, max_size=2, unique=True))
def test_no_name_is_longer_than_files_may_be(names: list[str]) -> None:
    """And none is that of another mailbox."""
    for place in (plus_plus_directory, nested_directory, lambda name: "/".join(file_parts(name))):
        places = list(map(place, names))
        assert len(set(places)) == 2
        assert all(len(part.encode()) <= 255 for one in places for part in one.split("/"))


@pytest.mark.parametrize(
    ("directory", "mailbox"),
    [
        (".Sent", "Sent"),
        (".A.B", "A/B"),
        (".INBOX.Drafts", "INBOX/Drafts"),
        (".inbox", "INBOX"),
        ("..double", "double"),
        (".&U9dP4Xux-.&TtVOiw-", "受信箱/仕事"),
        (".a&AC8-b", "a_b"),
        (".x\x1by", "x_y"),
    ],
)
def test_trap_m2_maildir_plus_plus_names(directory: str, mailbox: str) -> None:
    """Dots part levels; a slash or control character inside of a name becomes harmless."""
    assert folder_mailbox(tuple(map(decoded_part, plus_plus_levels(directory)))) == mailbox


def test_a_name_that_is_no_utf8_is_read_as_latin1() -> None:
    """Old servers wrote what they were given."""
    assert decoded_part("\udce4rger") == "ärger"


def _from_nested(path: str) -> str:
    return folder_mailbox([decoded_part(part) for part in path.split("/")])


@given(MAILBOX)
def test_names_come_back_from_both_layouts(mailbox: str) -> None:
    """Whatever a mailbox is called, an export's directory leads back to it."""
    levels = plus_plus_levels(plus_plus_directory(mailbox, UNLIMITED))
    assert folder_mailbox(tuple(map(decoded_part, levels))) == folder_mailbox([mailbox])
    assert _from_nested(nested_directory(mailbox, UNLIMITED)) == folder_mailbox([mailbox])
    assert _from_nested("/".join(file_parts(mailbox, UNLIMITED))) == folder_mailbox([mailbox])


@pytest.mark.parametrize("directory", [nested_directory, lambda name: "/".join(file_parts(name))])
@pytest.mark.parametrize("mailbox", ["..", "../../etc", ".ssh", "a/../b"])
def test_no_mailbox_leads_out_of_the_export(mailbox: str, directory: Callable[[str], str]) -> None:
    """No level of a written path begins with a dot."""
    assert not any(part.startswith(".") for part in directory(mailbox).split("/"))


@pytest.mark.parametrize("mailbox", ["cur", "A/new", "tmp/x"])
def test_no_mailbox_is_taken_for_the_inside_of_a_maildir(mailbox: str) -> None:
    """A mailbox called `cur` has another directory than the messages, nested or of mboxes."""
    for written in (nested_directory(mailbox), "/".join(file_parts(mailbox))):
        assert not {"cur", "new", "tmp"} & set(written.split("/"))
        assert _from_nested(written) == mailbox


def test_inbox_is_the_maildir_itself() -> None:
    """In both layouts."""
    assert plus_plus_directory("INBOX") == nested_directory("INBOX") == ""
    assert folder_mailbox(()) == folder_mailbox(["inbox"]) == "INBOX"


def test_mapping_renames_a_folder_and_those_below_it() -> None:
    """The rule that names more of the path holds; the prefix goes in front of all."""
    mapping = Mapping(["Sent Items=Sent", "Lists=Archive/Lists", "Lists/py=Python"], "Old")
    assert [
        mapping(one) for one in ("INBOX", "Sent Items", "Sent Items/2025", "Lists/c", "Lists/py/dev")
    ] == [
        "Old/INBOX",
        "Old/Sent",
        "Old/Sent/2025",
        "Old/Archive/Lists/c",
        "Old/Python/dev",
    ]
    assert Mapping()("Sent") == "Sent"
    assert Mapping(["a=inbox"])("a") == "INBOX"


def test_a_maildir_that_becomes_a_mailbox_keeps_its_folders_below_it() -> None:
    """Rules name folders as they are there; what they call INBOX is that mailbox; a prefix is in front."""
    mapping = Mapping(["Sent=Gesendet", "Inbox2=INBOX"], mailbox="Old/Ann")
    assert [mapping(one) for one in ("INBOX", "Sent", "Lists/py", "INBOX/Drafts", "Inbox2")] == [
        "Old/Ann", "Old/Ann/Gesendet", "Old/Ann/Lists/py", "Old/Ann/INBOX/Drafts", "Old/Ann",
    ]  # fmt: skip
    assert Mapping(mailbox="Old", prefix="All")("INBOX") == "All/Old"
    assert Mapping(mailbox="INBOX")("INBOX") == "INBOX"
    assert Mapping(mailbox="INBOX")("Sent") == "INBOX/Sent"


@pytest.mark.parametrize("called", ["INBOX", "Sent", "a/b", "日" * 3])
def test_a_folder_below_a_mailbox_is_told_only_when_its_name_had_to_change(called: str) -> None:
    """What it would be called were every name possible is below that mailbox, too."""
    mapping = Mapping(mailbox="Old", prefix="All")
    assert not is_renamed(mapping.wished(called, called), mapping(called))
    assert is_renamed(mapping.wished("100%", "100_"), mapping("100_"))


@pytest.mark.parametrize("rule", ["", "Sent", "=x", "x=", "/=x"])
def test_a_rule_that_is_none_is_refused(rule: str) -> None:
    """It is named, with how to write one."""
    with pytest.raises(Invalid, match="OLD=NEW"):
        Mapping([rule])


def test_no_two_mailboxes_share_a_name() -> None:
    """Alike ones get another."""
    names = Names()
    assert [names.free(one) for one in ("a", "b", "a", "a")] == ["a", "b", "a_", "a__"]


@pytest.mark.parametrize(
    ("called", "kept"),
    [
        ("100%", "100_"),
        ("#news/a*b", "_news/a_b"),
        ("a/./../b", "a/_/__/b"),
        (" a / b ", "a/b"),
        ("e\u0301", "é"),
        ("safe\u202etxt", "safe_txt"),
        ("\udcff", "_"),
        ("quarantine", "Quarantine"),
        ("inbox/x", "INBOX/x"),
        ("/".join("abcdefghijklmnopqrst"), "a/b/c/d/e/f/g/h/i/j/k/l/m/n/o/p_q_r_s_t"),
    ],
)
def test_a_folder_gets_a_name_that_a_mailbox_may_have(called: str, kept: str) -> None:
    """By the rules of `mailbox create`."""
    assert folder_mailbox([called]) == kept
    assert is_renamed(called, kept) is (kept not in {"é", "Quarantine", "INBOX/x"})


def test_two_long_names_stay_two() -> None:
    """What is cut off is in the hash at their ends."""
    one, other = (folder_mailbox(["日" * 200 + end]) for end in "ab")
    assert one != other
    assert {len(name.encode()) <= 255 for name in (one, other)} == {True}


@given(st.text(max_size=300))
def test_every_name_that_an_import_makes_could_have_been_created(called: str) -> None:
    """And is itself kept as it is, so that what was exported comes back under its name."""
    kept = fitting_name(called)
    assert target_name(kept) == kept == fitting_name(kept)


@pytest.mark.parametrize(("rule", "prefix"), [("a=100%", ""), ("a=b", "x//y"), ("a=" + "x" * 300, "")])
def test_names_that_somebody_chose_are_not_mended(rule: str, prefix: str) -> None:
    """They are refused, as by `mailbox create`."""
    with pytest.raises(Invalid):
        Mapping([rule], prefix)
