"""Names of mailboxes."""

from __future__ import annotations

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from mairust_core.errors import Invalid
from mairust_core.model.mailbox import MailboxRename, changeable, folded_inbox, mailbox_name


@given(st.text(st.sampled_from("aB/.#%* \x00\u202e\u0308ü日INBOX"), max_size=20) | st.text(max_size=300))
def test_any_text_is_a_name_that_imap_can_carry_or_refused(text: str) -> None:
    """Composed, without control characters and wildcards, no empty level, no step up."""
    try:
        name = mailbox_name("name", text)
    except Invalid:
        return
    assert name == unicodedata.normalize("NFC", name)
    assert not set("\x00\u202e%*") & set(name)
    assert not {"", ".", ".."} & set(name.split("/"))
    assert len(name.encode()) <= 255
    assert mailbox_name("name", name) == name


@given(st.sampled_from(["inbox", "InBox", "INBOX"]), st.sampled_from(["", "/x", "/inbox", "es"]))
def test_only_the_first_level_is_inbox_in_any_case(inbox: str, rest: str) -> None:
    """What merely begins alike is another name."""
    assert folded_inbox(inbox + rest) == (inbox if rest == "es" else "INBOX") + rest


@given(st.sampled_from(["INBOX", "Quarantine", "qUARANTINE"]))
def test_the_servers_own_are_not_made_or_renamed(name: str) -> None:
    """Those below INBOX are."""
    for refused in (
        lambda: changeable("name", name),
        lambda: MailboxRename(name="a", to=name),
        lambda: MailboxRename(name=name, to="a"),
    ):
        try:
            refused()
        except Invalid:
            continue
        raise AssertionError(name)
    assert changeable("name", "INBOX/a") == "INBOX/a"
