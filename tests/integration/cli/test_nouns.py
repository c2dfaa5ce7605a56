"""Every command over a real SQLite site."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from tests.support.command_line import Run

pytestmark = pytest.mark.usefixtures("site")


def test_domains_are_added_listed_shown_and_removed(run: Run) -> None:
    """With the same object in every answer; names are folded."""
    added = run("domain", "add", "BÜCHER.example", "--json")
    assert added.code == 0
    assert added.json["name"] == "xn--bcher-kva.example"
    assert run("domain", "show", "bücher.example", "--json").json == added.json
    assert added.json in run("domain", "list", "--json").json["items"]
    removed = run("domain", "remove", "bücher.example", "--yes", "--json")
    assert removed.json == {"name": "xn--bcher-kva.example", "removed": True}
    assert run("domain", "show", "bücher.example").code == 4


def test_adding_what_is_there_is_a_conflict(run: Run) -> None:
    """Exit 5, nothing on stdout, one line on stderr."""
    again = run("domain", "add", "example.org")
    assert (again.code, again.stdout) == (5, b"")
    assert again.stderr.startswith("mairust: error: The domain example.org exists already.")
    assert again.stderr.count("\n") == 1


def test_a_domain_with_accounts_stays(run: Run) -> None:
    """Exit 5."""
    assert run("domain", "remove", "example.org", "--yes").code == 5


def test_accounts_are_added_with_quota_and_admin(run: Run) -> None:
    """Sizes in bytes in JSON, in units for people."""
    account = run("account", "add", "carol@example.org", "--quota", "2GiB", "--admin", "--json").json
    assert (account["quota_bytes"], account["admin"], account["enabled"]) == (2 << 30, True, True)
    assert "2.0 GiB" in run("account", "show", "carol@example.org").out


def test_accounts_are_disabled_and_enabled_repeatedly(run: Run) -> None:
    """Asking for what already is, is done: exit 0."""
    for _ in range(2):
        assert run("account", "disable", "ann@example.org", "--json").json["enabled"] is False
    for _ in range(2):
        assert run("account", "enable", "ann@example.org", "--json").json["enabled"] is True


def test_accounts_are_listed_by_domain(run: Run) -> None:
    """And a domain there is not is told."""
    found = run("account", "list", "--domain", "example.org", "--json").json["items"]
    assert [account["address"] for account in found] == ["ann@example.org", "bob@example.org"]
    assert run("account", "list", "--domain", "nowhere.example").code == 4


def test_an_account_is_removed_only_when_that_is_certain(run: Run) -> None:
    """Without `--yes`, and nobody to ask, exit 2 and the account is still there."""
    refused = run("account", "remove", "bob@example.org")
    assert refused.code == 2
    assert "--yes" in refused.stderr
    assert run("account", "show", "bob@example.org").code == 0
    assert run("account", "remove", "bob@example.org", "--yes").code == 0
    assert run("account", "show", "bob@example.org").code == 4


def test_aliases_take_several_targets_either_way(run: Run) -> None:
    """`--to A --to B` and `--to A B` are the same."""
    one = run("alias", "add", "a@example.org", "--to", "ann@example.org", "--to", "bob@example.org", "--json")
    two = run("alias", "add", "b@example.org", "--to", "ann@example.org", "bob@example.org", "--json")
    assert one.json["to"] == two.json["to"] == ["ann@example.org", "bob@example.org"]
    assert (
        run("alias", "add", "*@example.org", "--to", "ann@example.org", "--json").json["address"]
        == "*@example.org"
    )
    assert run("alias", "remove", "*@example.org", "--yes", "--json").json["removed"] is True


def test_lists_are_paged_by_cursor(run: Run) -> None:
    """Page by page gives what `--all` gives; `--all` has no cursor left."""
    for name in ("a", "b", "c"):
        run("alias", "add", f"{name}@example.org", "--to", "ann@example.org")
    everything = run("alias", "list", "--all", "--json").json
    assert everything["next_cursor"] is None
    items, cursor = [], ""
    for _ in range(10):
        page = run("alias", "list", "--limit", "2", "--cursor", cursor, "--json").json
        items += page["items"]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert items == everything["items"]


@pytest.mark.parametrize("limit", ["0", "501", "-1"])
def test_a_limit_out_of_bounds_is_refused(run: Run, limit: str) -> None:
    """Exit 2, naming the bounds."""
    for command in (["domain", "list"], ["mailbox", "list", "--account", "ann@example.org"]):
        refused = run(*command, "--limit", limit)
        assert refused.code == 2
        assert "500" in refused.stderr


def test_mailboxes_are_listed_with_their_counts(run: Run, mail: Path) -> None:
    """Contract §8: the keys outside tests use."""
    run("message", "append", str(mail), "--account", "ann@example.org")
    inbox = run("mailbox", "list", "--account", "ann@example.org", "--json").json["items"][0]
    assert inbox["name"] == "INBOX"
    assert (inbox["messages"], inbox["uidnext"]) == (1, 2)
    assert {"unseen", "uidvalidity"} <= set(inbox)
    assert run("mailbox", "list", "--account", "ann@example.org", "--limit", "1", "--json").json["items"] == [
        inbox
    ]


def test_a_message_comes_back_as_it_was_appended(run: Run, mail: Path) -> None:
    """`--original` and `--raw` are the bytes themselves on stdout: append adds no trace headers (rule B2)."""
    appended = run("message", "append", str(mail), "--account", "ann@example.org", "--json").json
    assert run("message", "show", appended["id"], "--original").stdout == mail.read_bytes()
    assert run("message", "show", appended["id"], "--raw").stdout == mail.read_bytes()
    assert run("message", "list", "--account", "ann@example.org", "--json").json["items"] == [appended]


def test_a_message_is_shown_to_people_with_its_header_fields(run: Run, mail: Path) -> None:
    """In their order, then where it is, then how its text begins."""
    appended = run("message", "append", str(mail), "--account", "ann@example.org", "--json").json
    shown = run("message", "show", appended["id"]).out.splitlines()
    assert shown[:2] == ["From: Ann <ann@example.org>", "Subject: hello"]
    assert "Hello." in shown


def test_trap_t3_a_hostile_message_is_shown_harmlessly(run: Run, tmp_path: Path) -> None:
    """Escape sequences and bidi overrides of subject, names, file names and text never reach the terminal."""
    file = tmp_path / "evil.eml"
    file.write_bytes(
        "From: =?utf-8?q?=1B[31mEve=E2=80=AE?= <eve@example.net>\r\n"
        "Subject: =?utf-8?q?=1B]0;owned=07=E2=80=AEgnp.exe?=\r\n"
        'Content-Type: text/plain; charset=utf-8; name="\x1b[2J.txt"\r\n\r\nbody \x1b[2J \u202e\r\n'.encode()
    )
    appended = run("message", "append", str(file), "--account", "ann@example.org", "--json").json
    for command in (["message", "list", "--account", "ann@example.org"], ["message", "show", appended["id"]]):
        out = run(*command).out
        assert "\x1b" not in out
        assert "\x07" not in out
        assert "\u202e" not in out


def test_messages_refuse_what_makes_no_sense(run: Run, mail: Path) -> None:
    """Each with the exit code of its kind."""
    assert run("message", "show", "1", "--raw", "--original").code == 2
    assert run("message", "show", "no-id").code == 2
    assert run("message", "show", "1").code == 4
    assert run("message", "append", "/nowhere.eml", "--account", "ann@example.org").code == 2
    assert run("message", "append", str(mail), "--account", "nobody@example.org").code == 4
    assert run("message", "append", str(mail), "--account", "ann@example.org", "--mailbox", "Nope").code == 4
    assert run("message", "append", "/", "--account", "ann@example.org").code == 2


def test_an_api_key_is_shown_once(run: Run) -> None:
    """Trap A3: never in a list; `--quiet` prints the key alone, for scripts."""
    issued = run("token", "create", "--name", "web", "--scope", "read", "--scope", "write", "--json").json
    assert issued["key"].startswith(f"mk_{issued['token']['id']}_")
    secret = issued["key"].rsplit("_", 1)[1]
    assert secret not in run("token", "list", "--json").out
    assert secret not in run("token", "list").out
    key = run("token", "create", "--name", "cron", "--scope", "read", "--quiet").out
    assert key.startswith("mk_")
    assert key.count("\n") == 1


def test_an_api_key_reaches_one_thing_and_can_expire(run: Run) -> None:
    """A domain or an account, not both; a wrong scope or time is refused."""
    create = ["token", "create", "--name", "t", "--scope"]
    key = run(*create, "read", "--account", "ann@example.org", "--expires", "90d", "--json").json["token"]
    assert (key["reach"], key["subject"]) == ("account", "ann@example.org")
    assert key["expires_at"].endswith("Z")
    assert run(*create, "read", "--domain", "example.org", "--json").json["token"]["reach"] == "domain"
    assert run(*create, "read", "--domain", "example.org", "--account", "ann@example.org").code == 2
    assert run(*create, "everything").code == 2
    assert run(*create, "read", "--expires", "soon").code == 2
    assert run(*create, "read", "--account", "nobody@example.org").code == 4


def test_an_api_key_is_revoked_repeatedly(run: Run) -> None:
    """Asking for what already is, is done: exit 0."""
    key = run("token", "create", "--name", "t", "--scope", "read", "--json").json["token"]
    for _ in range(2):
        assert run("token", "revoke", key["id"], "--json").json["revoked"] is True


def test_config_show_tells_where_each_value_comes_from(run: Run, site: Path) -> None:
    """From the environment, here; secrets would be masked by the same function that errors use."""
    shown = {item["key"]: item for item in run("config", "show", "--json").json["items"]}
    assert shown["node.data_dir"] == {
        "key": "node.data_dir",
        "value": str(site),
        "origin": "MAIRUST_DATA_DIR",
    }
    assert shown["smtp.listen"]["origin"] == "default"
    assert "smtp.listen" in run("config", "show").out


def test_config_check_names_file_and_line(run: Run, site: Path) -> None:
    """Exit 78; a valid one is said to be so."""
    assert run("config", "check", "--json").json == {"file": str(site / "mairust.toml"), "valid": True}
    (site / "mairust.toml").write_text("[smtp]\nlissten = 'x'\n")
    wrong = run("config", "check")
    assert wrong.code == 78
    assert f"{site}/mairust.toml:2" in wrong.stderr


def test_db_check_tells_the_schema(run: Run) -> None:
    """Exit 0 when it is the one of this version."""
    assert run("db", "check", "--json").json["database"] == "sqlite"


def test_init_twice_changes_nothing(run: Run, site: Path) -> None:
    """Exit 0, `created` false; files of a site are its owner's alone."""
    before = {
        path: path.read_bytes() for path in site.iterdir() if path.suffix in {".key", ".token", ".toml"}
    }
    again = run("init", "--json")
    assert again.code == 0
    assert again.json["created"] is False
    assert {path: path.read_bytes() for path in before} == before
    assert {stat.S_IMODE(path.stat().st_mode) for path in before} == {0o600}
    assert again.json["config_file"] == str(site / "mairust.toml")


def test_init_keeps_the_database_it_was_given(run: Run, tmp_path: Path) -> None:
    """In the configuration, so that every later command finds it; another one is a conflict."""
    directory, url = str(tmp_path / "fresh"), f"sqlite:///{tmp_path}/elsewhere.db"
    made = run("init", "--data-dir", directory, "--database", url, "--json")
    assert made.code == 0
    assert (tmp_path / "elsewhere.db").exists()
    assert run("domain", "add", "kept.example", "--data-dir", directory).code == 0
    shown = run("config", "show", "--data-dir", directory, "--json").json["items"]
    assert next(item["value"] for item in shown if item["key"] == "database.url") == url
    assert run("init", "--data-dir", directory, "--database", url).code == 0
    other = run("init", "--data-dir", directory, "--database", f"sqlite:///{tmp_path}/other.db")
    assert other.code == 5
    assert not (tmp_path / "other.db").exists()


def test_rule_d5_init_says_that_the_store_is_embedded(run: Run, tmp_path: Path) -> None:
    """And names the way to PostgreSQL, on stderr."""
    made = run("init", "--data-dir", str(tmp_path / "fresh"))
    assert "SQLite" in made.stderr
    assert "mairust init --database" in made.stderr
