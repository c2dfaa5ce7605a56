"""What is refused as a root key before it goes anywhere."""

from __future__ import annotations

import pytest

from mairust_core.errors import Invalid
from mairust_core.model.trust import NewTrustKey
from mairust_core.plugins.package import keys


@pytest.mark.parametrize("passphrase", [None, "correct horse"])
def test_a_private_key_is_refused_where_it_was_read(passphrase: str | None) -> None:
    """KEY in place of KEY.pub is a slip that must not send the key of a root to a server."""
    pem = keys.private_pem(keys.generate(), passphrase).decode()
    with pytest.raises(Invalid, match="holds a private key"):
        NewTrustKey(name="root", public_key=pem)


def test_any_other_text_is_the_servers_to_judge() -> None:
    """The client knows no more of keys than what must not leave it."""
    assert NewTrustKey(name="root", public_key="not a key").public_key == "not a key"
