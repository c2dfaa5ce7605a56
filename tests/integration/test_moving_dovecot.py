"""What Dovecot itself wrote comes in, and what goes out Dovecot itself reads (traps M2, M3)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from mairust_core.transfer.maildir import Maildir, MaildirMessage
from mairust_core.transfer.source import Unusable
from tests.support.dovecot import Dovecot, dovecot
from tests.unit.transfer.test_maildir import content

MAIL = b"Subject: packed\n\n" + b"The same line again.\n" * 40


@pytest.fixture
def there() -> Iterator[Dovecot]:
    """A Dovecot."""
    with dovecot() as found:
        yield found


def mails(root: Path) -> list[MaildirMessage]:
    """Every message of a Maildir, none of them broken."""
    found = []
    for folder in Maildir(root).folders():
        for one in folder.messages():
            assert isinstance(one, MaildirMessage), one
            found.append(one)
    return found


@pytest.mark.parametrize("kind", ["gz", "bz2", "zstd", "lz4"])
def test_trap_m2_what_dovecot_packed_is_unpacked(there: Dovecot, kind: str) -> None:
    """As `zlib_save` has it; LZ4 is told."""
    settings = f"mail_plugins = zlib\nplugin {{\n zlib_save = {kind}\n}}"
    there.save("maildir:~/mail", "INBOX", MAIL, settings=settings)
    (message,) = mails(there.directory / "mail")
    assert Path(message.path).read_bytes() != MAIL
    if kind == "lz4":
        with pytest.raises(Unusable, match="packed_lz4"):
            content(message)
    else:
        assert content(message) == MAIL
