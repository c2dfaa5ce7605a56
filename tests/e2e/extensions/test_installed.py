"""Each specification by a distribution that pip installed from a wheel, beside one in which all is wrong."""

from __future__ import annotations

import json
import smtplib
import subprocess
import time
from hashlib import sha256
from pathlib import Path

import pytest

from tests.e2e.docs.shell import reader, with_tools
from tests.e2e.extensions.conftest import House
from tests.support.linking import manifest_text, write
from tests.support.server import make_site

ANN = "ann@example.org"
CARL = "carl@example.org"
GREETED = ["greeted", "told-headers-id-received_at-size"]
PATIENCE_S = 60.0
MAIL = b"From: Bob <bob@x.example>\r\nSubject: hello\r\n\r\nThe word is nightingale.\r\n"


def send(house: House, data: bytes = MAIL, to: str = ANN) -> None:
    """One mail."""
    with smtplib.SMTP("127.0.0.1", int(house.server.smtp)) as client:
        assert client.sendmail("bob@x.example", [to], data) == {}


def until_tagged(house: House, tags: list[str]) -> None:
    """Send mail to Carl until eight in a row have these tags; by then both workers have followed (D3)."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        for _ in range(8):
            send(house, MAIL + b"Not for Ann.\r\n", CARL)
        listed = json.loads(house.mairust(f"message list --account {CARL} --limit 8 --json"))["items"]
        if all(one["tags"] == tags for one in listed):
            return
        assert time.monotonic() < deadline, f"not {tags}: {[one['tags'] for one in listed]}"


def test_hook_open_storage(house: House) -> None:
    """The site lies in a database whose address only the extension knows."""
    assert (house.data_dir / "acme.db").exists()
    assert not (house.data_dir / "mairust.db").exists()
    shown = json.loads(house.mairust("config show --json"))
    assert f"acme:///{house.data_dir}/acme.db" in json.dumps(shown)


def test_hook_open_blobs_and_search_and_mail_hooks(house: House) -> None:
    """A mail is asked about inside the process, lies in the extension's store, and is found by its index."""
    send(house)
    [found] = json.loads(house.mairust(f"message list --account {ANN} --json"))["items"]
    assert found["tags"] == GREETED, "no body: that is not permitted"
    assert found["flags"] == [], "nor is this"
    [blob] = (house.data_dir / "acme-blobs").glob(f"*-{sha256(MAIL).hexdigest()}")
    assert blob.read_bytes() == MAIL
    assert house.mairust(f"message show {found['id']} --original").encode() == MAIL.replace(b"\r\n", b"\n")
    house.mairust("index rebuild")
    [hit] = json.loads(house.mairust(f"search nightingale --account {ANN} --json"))["items"]
    assert hit["id"] == found["id"]
    assert json.loads(house.mairust("status --json"))["blobs"]["driver"] == "acme"


def test_hook_mail_hooks_is_registered_once_and_edited_like_any(house: House) -> None:
    """Enabled, audited, by the two workers together; disabled it is not asked."""
    shown = json.loads(house.mairust("plugin show com.acme.greeter --json"))
    assert (shown["state"], shown["source"], shown["entry"]["protocol"]) == (
        "enabled", "extension", "inprocess",
    )  # fmt: skip
    audit = json.loads(house.mairust("audit list --all --json"))["items"]
    assert [one["operation"] for one in audit].count("plugins.declare") == 1
    (house.who.directory / "hello.eml").write_bytes(MAIL)
    tried = house.mairust(f"hook test com.acme.greeter --message hello.eml --to {ANN} --json")
    assert json.loads(tried)["steps"][0]["effect"]["effect"]["tags"][0] == "greeted"
    house.mairust(f"account add {CARL}")
    house.mairust("plugin disable com.acme.greeter")
    until_tagged(house, [])
    house.mairust("plugin enable com.acme.greeter")
    until_tagged(house, GREETED)


def test_hook_open_transport(house: House) -> None:
    """A plugin is spoken to in the extension's own way; when that fails its hook answers on_error."""
    answer = house.who.directory / "answer.json"
    entry = f'protocol = "acme"\nendpoint = "{answer}"'
    write(house.who.directory / "plugin", manifest_text("com.example.filed", "pre_delivery", entry=entry))
    house.mairust("plugin link plugin")
    assert "acme" in house.mairust("plugin show com.example.filed")
    house.mairust("plugin approve com.example.filed --yes")
    (house.who.directory / "mail.eml").write_bytes(MAIL)
    call = f"hook test com.example.filed --message mail.eml --to {ANN} --json"
    answer.write_text('{"action": "quarantine"}')
    assert json.loads(house.mairust(call))["action"] == "quarantine"
    answer.unlink()
    assert json.loads(house.mairust(f"{call} || test $? = 1"))["action"] == "tempfail"
    answer.write_text('{"action": "deliver"}')  # for others' mail, until both workers have followed (D3)
    house.mairust("plugin remove com.example.filed --yes")


def test_hook_api_routers(house: House) -> None:
    """Behind the keys of the API, with an own document, and no part of ours."""
    client = house.client
    assert client.get("x/acme/domains").json() == ["example.org"]
    assert client.get("x/acme/domains", params={"upper": True}).json() == ["EXAMPLE.ORG"]
    assert "/domains" in client.get("x/acme/openapi.json").json()["paths"]
    assert not any("/x/" in path for path in client.get("openapi.json").json()["paths"])
    bare = client.get("x/acme/domains", headers={"authorization": ""})
    assert (bare.status_code, bare.json()["code"]) == (401, "unauthenticated")
    reader = json.loads(house.mairust("token create --name reader --scope read --json"))["key"]
    refused = client.get("x/acme/domains", headers={"authorization": f"Bearer {reader}"})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("x/acme/fails/ours", 409, "conflict"),
        ("x/acme/fails/theirs", 418, "usage"),
        ("x/acme/fails/else", 500, "failed"),
        ("x/acme/domains?upper=maybe", 422, "invalid"),
        ("x/acme/nothing", 404, "not_found"),
        ("x/plain/silent", 500, "failed"),
        ("x/nobody/domains", 404, "not_found"),
    ],
)
def test_rule_g6_what_a_route_does_wrong_is_a_problem(
    house: House, path: str, status: int, code: str
) -> None:
    """In the shape of every other; the words of an exception stay in the log, and the server goes on."""
    answer = house.client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.headers["x-frame-options"] == "DENY"
    assert "a secret of the extension" not in answer.text
    assert house.client.get("x/acme/domains").status_code == 200


def test_hook_commands(house: House) -> None:
    """In the help, in completions, here and on a server; a name of ours is still ours."""
    help_text = house.mairust("--help")
    assert "Count the domains of the site." in help_text
    assert "Not what you think." not in help_text
    assert "acme" in house.mairust("completion bash").split()
    assert house.mairust("acme") == "1 domains\n"
    url = f"--server http://127.0.0.1:{house.server.http} --token-file {house.data_dir}/admin.token"
    assert house.mairust(f"acme {url}") == "1 domains\n"
    narrowed = house.who.types("MAIRUST_PLUGINS__EXTENSIONS= .venv/bin/mairust acme 2>&1 || echo exit $?")
    assert narrowed.splitlines()[-1] == "exit 2"
    failed = house.mairust("greedy 2>&1 || echo exit $?")
    assert failed.splitlines()[-1] == "exit 78"
    assert "The command greedy of the extension faulty-mairust 6.6 cannot be run" in failed


def test_rule_g6_doctor_lists_all_and_what_is_wrong(house: House) -> None:
    """With distribution and version; a server that has nothing to do with them runs nevertheless."""
    found = json.loads(house.mairust("doctor --json"))["findings"]
    told = {id_: [one["what"] for one in found if one["id"] == id_] for id_ in {one["id"] for one in found}}
    assert [one["level"] for one in found if one["id"].startswith("extension.")].count("error") == 0
    assert any("acme-mairust 1.0" in one and "open_blobs" in one for one in told["extension.installed"])
    broken = " ".join(told["extension.broken"])
    for why in ("No module named 'faulty_mairust.nowhere'", "it needs a moon", "no licence", "open_sesame"):
        assert why in broken
    assert len(told["extension.hidden"]) == 4, "two commands, a router, and a plugin"
    assert "it needs a moon" in house.log
    assert "faults of extensions were found, mairust doctor tells of them" in house.log
    assert house.mairust("domain list 2>&1 >/dev/null; .venv/bin/mairust --help 2>&1 >/dev/null") == ""


@pytest.mark.parametrize(
    ("setting", "why"),
    [
        ("MAIRUST_PLUGINS__EXTENSIONS=nowhere", "names nowhere"),
        ("MAIRUST_PLUGINS__EXTENSIONS=faulty-mairust", "faulty-mairust 6.6"),
        ("MAIRUST_BLOBS__DRIVER=dust", 'blobs.driver = dust'),
        ("MAIRUST_SEARCH__ENGINE=dust", "search.engine = dust"),
        ("MAIRUST_DATABASE__URL=dust://x:secret@y", "database.url = dust://x:********@y"),
    ],
)  # fmt: skip
def test_rule_g6_configuration_that_refers_to_a_broken_one_ends_serve(
    python: Path, tmp_path: Path, setting: str, why: str
) -> None:
    """With 78, before anything listens for long."""
    who = with_tools(reader(tmp_path), python)
    said = who.types(
        f"{setting} .venv/bin/mairust serve --smtp 127.0.0.1:0 --lmtp off --http off 2>&1 || echo exit $?"
    )
    assert said.splitlines()[-1] == "exit 78"
    assert why in said
    assert "secret" not in said


_SPY = """
import importlib.metadata, sys
def read(*_, **__):
    print("entry points were read")
    return ()
importlib.metadata.entry_points = read
sys.argv[1:] = {arguments!r}
from mairust_cli.entry import main
code = main()
print(*(name for name in ("pluggy", "mairust_core.extend") if name in sys.modules))
sys.exit(code)
"""


def test_entry_points_are_read_for_what_is_not_ours_and_for_the_help(python: Path, tmp_path: Path) -> None:
    """Never for a command that is known, on a site whose drivers are ours (contract §6)."""
    make_site(tmp_path / "site", accounts=1)
    at = ["--data-dir", str(tmp_path / "site")]
    account = ["--account", "user0@example.org"]

    def reads(*arguments: str) -> bool:
        done = subprocess.run(
            [python, "-c", _SPY.format(arguments=[*at, *arguments])],
            env={},
            capture_output=True,
            check=False,
            text=True,
        )
        said = done.stdout.splitlines()
        assert said[-1] == "", "pluggy is loaded for extensions alone"
        return "entry points were read" in said

    ours = (["domain", "list"], ["message", "list", *account], ["search", "x", *account])
    assert not any(reads(*call) for call in ours)
    assert all(reads(*call) for call in (["--help"], ["completion", "bash"], ["nothing"]))
