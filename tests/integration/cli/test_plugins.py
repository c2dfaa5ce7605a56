"""`mairust plugin` and `mairust hook`, as people and scripts type them."""

from __future__ import annotations

import io
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.answering import HttpPlugin, http_plugin
from tests.support.command_line import Run
from tests.support.linking import allow_unsigned, http_text, manifest_text, write

ID = "com.example.spam"
HOOK = f"{ID}:pre_receive"


@pytest.fixture
def answering() -> Iterator[HttpPlugin]:
    """A plugin that tags every mail."""
    with http_plugin() as plugin:
        yield plugin


@pytest.fixture
def linked(run: Run, site: Path, tmp_path: Path, answering: HttpPlugin) -> Path:
    """The directory of a plugin that is linked and waits."""
    allow_unsigned(site)
    directory = write(tmp_path / "spam", http_text(ID, answering.port, "pre_receive"))
    done = run("plugin", "link", str(directory))
    assert done.code == 0, done.stderr
    assert "waits for approval" in done.stderr
    return directory


def test_a_review_is_shown_before_anything_is_given(run: Run, linked: Path, answering: HttpPlugin) -> None:
    """In words, to stderr; without somebody to answer it needs --yes."""
    asked = run("plugin", "approve", ID)
    assert asked.code == 2
    assert "read header fields" in asked.stderr
    assert "take as long for one call as its hook has\n" in asked.stderr
    assert f"http://127.0.0.1:{answering.port}/" in asked.stderr
    assert "--yes" in asked.stderr
    assert run("plugin", "show", ID, "--json").json["state"] == "pending"
    given = run("plugin", "approve", ID, "--yes", "--json")
    assert given.json["state"] == "enabled"
    assert given.json["secret"].startswith("mps_")
    assert given.json["secret"] not in given.stderr
    again = run("plugin", "approve", ID, "--yes", "--json")
    assert (again.code, again.json["secret"]) == (0, None)


def test_a_review_is_shown_in_japanese(run: Run, linked: Path) -> None:
    """R-I18N-1."""
    asked = run("plugin", "approve", ID, "--lang", "ja")
    assert "ヘッダー" in asked.stderr
    assert "求めるもの" in asked.stderr


def test_a_person_is_asked(run: Run, linked: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No is no, and changes nothing."""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert run("plugin", "approve", ID).code == 1
    assert run("plugin", "show", ID, "--json").json["state"] == "pending"
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert run("plugin", "approve", ID).code == 0


def test_hook_test_tells_each_step(run: Run, linked: Path, mail: Path, answering: HttpPlugin) -> None:
    """What was sent, what was said, what it would do, and the reply; nothing is stored."""
    assert run("plugin", "approve", ID, "--yes").code == 0
    asked = ("hook", "test", ID, "--type", "pre_receive", "--message", str(mail), "--to", "ann@example.org")
    done = run(*asked, "--from", "eve@elsewhere.example", "--json")
    assert done.code == 0, done.stderr
    (step,) = done.json["steps"]
    assert (step["hook"], step["answer"]) == (HOOK, {"action": "deliver", "tags": ["seen"]})
    assert step["payload"]["envelope"]["mail_from"] == "eve@elsewhere.example"
    assert step["effect"]["effect"] == {"tags": ["seen"]}
    assert (done.json["action"], done.json["reply"][:3]) == ("deliver", "250")
    shown = run(*asked)
    assert f"{HOOK} (pre_receive)" in shown.out
    assert "the sender hears: 250" in shown.out
    assert '\n    {\n      "protocol": 1,\n      "hook": "pre_receive",\n' in shown.out
    assert run("message", "list", "--account", "ann@example.org", "--json").json["items"] == []
    assert "x-mairust-signature" in answering.headers[0]


def test_hook_test_takes_several_recipients_after_one_to(
    run: Run, linked: Path, mail: Path, answering: HttpPlugin
) -> None:
    """Or each after its own; without one, a second word is one too many."""
    assert run("plugin", "approve", ID, "--yes").code == 0
    ann, bob = "ann@example.org", "bob@example.org"
    for to in (("--to", ann, bob), ("--to", ann, "--to", bob)):
        done = run("hook", "test", HOOK, "--message", str(mail), *to, "--json")
        assert done.code == 0, done.stderr
        assert done.json["steps"][0]["payload"]["envelope"]["rcpt_to"] == [ann, bob]
    refused = run("hook", "test", HOOK, "--message", str(mail), bob)
    assert (refused.code, f"more arguments than the command takes: {bob}" in refused.stderr) == (2, True)


def test_hook_test_fails_when_the_chain_does(
    run: Run, linked: Path, mail: Path, answering: HttpPlugin
) -> None:
    """Exit 1, and the step says why."""
    assert run("plugin", "approve", ID, "--yes").code == 0
    answering.says = b'{"action": "explode"}'
    done = run("hook", "test", HOOK, "--message", str(mail), "--to", "ann@example.org", "--json")
    assert done.code == 1
    (step,) = done.json["steps"]
    assert "action" in step["error"]
    assert (done.json["failed"], done.json["action"], done.json["reply"][:3]) == (True, "tempfail", "451")
    assert run("hook", "test", "none", "--message", str(mail)).code == 4
    assert run("hook", "test", HOOK, "--message", "/nowhere.eml").code == 2


@pytest.mark.parametrize(
    ("says", "status", "answer", "why"),
    [
        (b"garbage \xff\x1b[2J", 200, "garbage \ufffd\x1b[2J", "the answer is not UTF-8"),
        (b"", 200, "", "the answer is empty"),
        (b"[]", 200, [], "the answer is not a JSON object"),
        (b'{"action": "frob"}', 200, {"action": "frob"}, "the answer has no known action"),
        (b'{"action":"reject","action":"deliver"}', 200, '{"action":"reject","action":"deliver"}', "twice"),
        (b'{"error": "out of order"}', 500, {"error": "out of order"}, "HTTP 500"),
        (b"x" * 5000, 503, "x" * 4096 + "…", "HTTP 503"),
    ],
)
def test_hook_test_shows_what_is_no_answer(
    run: Run, linked: Path, mail: Path, answering: HttpPlugin, says: bytes, status: int, answer: Any, why: str
) -> None:
    """As it came, so that its author sees what is wrong with it."""
    assert run("plugin", "approve", ID, "--yes").code == 0
    answering.says, answering.status = says, status
    asked = ("hook", "test", HOOK, "--message", str(mail), "--to", "ann@example.org")
    (step,) = run(*asked, "--json").json["steps"]
    assert (step["answer"], why in step["error"]) == (answer, True)
    shown = run(*asked)
    assert shown.code == 1
    said, failed = (line for line in shown.out.splitlines() if line.startswith(("  said:", "  failed:")))
    assert (why in failed, "\x1b" in said) == (True, False)
    assert not isinstance(answer, str) or said.startswith(f"  said: {answer[:8]}".rstrip())


def test_hook_replay_tries_stored_mail(run: Run, linked: Path, mail: Path) -> None:
    """Nothing changes."""
    assert run("plugin", "approve", ID, "--yes").code == 0
    for _ in range(2):
        assert run("message", "append", str(mail), "--account", "ann@example.org").code == 0
    done = run("hook", "replay", HOOK, "--account", "ann@example.org", "--since", "1d", "--all", "--json")
    assert done.code == 0, done.stderr
    assert [one["effect"]["effect"]["tags"] for one in done.json["items"]] == [["seen"], ["seen"]]
    assert all(one["matched"] for one in done.json["items"])
    listed = run("message", "list", "--account", "ann@example.org", "--json")
    assert [one["tags"] for one in listed.json["items"]] == [[], []]
    assert run("hook", "replay", HOOK, "--account", "nobody@example.org").code == 4


def test_hook_replay_says_that_some_failed(
    run: Run, linked: Path, mail: Path, tmp_path: Path, site: Path
) -> None:
    """Exit status 3, as of all that finishes with some items failed; and why, without an address."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    write(tmp_path / "spam", http_text(ID, port, "pre_receive"))
    assert run("plugin", "link", str(tmp_path / "spam")).code == 0
    assert run("plugin", "approve", ID, "--yes").code == 0
    assert run("message", "append", str(mail), "--account", "ann@example.org").code == 0
    done = run("hook", "replay", HOOK, "--account", "ann@example.org", "--json")
    assert (done.code, [one["error"] for one in done.json["items"]]) == (
        3, ["it cannot be reached: Connection refused"],
    )  # fmt: skip


def test_hooks_are_added_listed_and_set(run: Run, linked: Path) -> None:
    """With filters as they are typed."""
    assert run("plugin", "approve", ID, "--yes").code == 0
    added = run(
        "hook", "add", "bills", "--type", "post_receive", "--plugin", ID, "--filter", "subject_matches=Bill",
        "--filter", "size_gt=1M", "--filter", "has_attachments=yes", "--on-timeout", "allow", "--json",
    )  # fmt: skip
    assert added.code == 0, added.stderr
    assert added.json["filter"]["size_gt"] == 1 << 20
    assert (added.json["filter"]["has_attachments"], added.json["on_error"]) == (True, "allow")
    listed = run("hook", "list")
    assert "subject_matches=Bill has_attachments=true size_gt=1048576" in listed.out
    assert run("hook", "edit", "bills", "--no-filter", "--json").json["filter"]["size_gt"] is None
    for wrong in (
        ("hook", "edit", "bills"),
        ("hook", "edit", "bills", "--no-filter", "--filter", "size_gt=1"),
        ("hook", "edit", "bills", "--filter", "colour=red"),
        ("hook", "edit", "bills", "--filter", "size_gt=big"),
        ("hook", "edit", "bills", "--filter", "has_attachments=maybe"),
        ("hook", "edit", "bills", "--mode", "loud"),
        ("hook", "edit", "bills", "--filter", "size_gt=1", "--filter", "size_gt=2"),
        ("hook", "edit", "bills", "--unset", "enabled"),
        ("hook", "edit", "bills", "--unset", "mode", "--mode", "shadow"),
        ("hook", "add", "x", "--type", "pre_send", "--plugin", ID),
    ):
        done = run(*wrong)
        assert done.code == 2, (wrong, done.stderr)
    assert run("hook", "edit", HOOK, "--mode", "shadow", "--json").json["changed"] == ["mode"]
    assert run("hook", "edit", HOOK, "--unset", "mode", "--json").json["changed"] == []
    assert run("hook", "add", "bills", "--type", "post_receive", "--plugin", ID).code == 5
    assert run("hook", "add", "x", "--type", "post_receive", "--plugin", "com.example.none").code == 4
    assert run("hook", "remove", "bills", "--yes").code == 0
    assert run("hook", "show", "bills").code == 4


def test_linking_again_says_what_waits(run: Run, linked: Path, answering: HttpPlugin) -> None:
    """The old version goes on; the list shows both."""
    assert run("plugin", "approve", ID, "--yes").code == 0
    more = http_text(ID, answering.port, "pre_receive", "post_receive").replace("1.0.0", "2.0.0")
    write(linked, more)
    assert run("plugin", "link", str(linked), "--json").json["state"] == "pending"
    assert "enabled (2.0.0 pending)" in run("plugin", "list").out
    shown = run("plugin", "show", ID).out
    assert f"+ be asked, and decide, as the hook {ID}:post_receive" in shown


def test_linking_needs_leave_and_a_good_manifest(run: Run, site: Path, tmp_path: Path) -> None:
    """Each with its own exit status, and nothing registered."""
    directory = write(tmp_path / "spam", manifest_text(ID))
    refused = run("plugin", "link", str(directory))
    assert (refused.code, "plugins.allow_unsigned" in refused.stderr) == (77, True)
    allow_unsigned(site)
    write(directory, manifest_text(ID).replace("version", "vershun"))
    wrong = run("plugin", "link", str(directory))
    assert (wrong.code, f"{directory}/plugin.toml:2" in wrong.stderr) == (2, True)
    assert run("plugin", "link", str(tmp_path / "nowhere")).code == 2
    assert run("plugin", "link", str(directory), "--server", "http://127.0.0.1:1").code == 2
    assert run("plugin", "list", "--json").json["items"] == []


def test_the_module_for_authors_is_printed(run: Run) -> None:
    """As it is in the package."""
    from mairust_core.plugins.for_authors import module_text

    assert run("plugin", "module").stdout == module_text().encode()
