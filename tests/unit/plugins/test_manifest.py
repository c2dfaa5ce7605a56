"""`plugin.toml`: defaults, bounds, and faults that name file, line and key."""

from __future__ import annotations

import re
from dataclasses import fields, replace
from ipaddress import ip_network
from pathlib import Path

import pytest

from mairust_core.errors import Invalid
from mairust_core.i18n import LANGUAGES, explain
from mairust_core.model.hook import Fallback, Filter, HookType
from mairust_core.model.plugin import (
    Body,
    Entry,
    Limits,
    Manifest,
    Network,
    Permissions,
    ProcessMode,
    Protocol,
)
from mairust_core.plugins.manifest import read_directory, read_manifest
from tests.support.docs import CHECKOUT
from tests.unit.plugins.manifests import GROUND, SPAM, TICKETS, manifest


def fault(text: str, where: str = "plugin.toml") -> Invalid:
    """What is wrong with a manifest."""
    with pytest.raises(Invalid) as caught:
        read_manifest(text.encode(), GROUND, where)
    for lang in LANGUAGES:
        assert "?" not in explain(caught.value, lang)[0], explain(caught.value, lang)
    return caught.value


def test_what_is_left_out_has_its_default() -> None:
    """Contract §5: limits, a hook named after its type, one call per process."""
    found = manifest(SPAM)
    assert (found.id, found.version, found.name) == ("com.example.spam", "1.2.3", "Spam")
    assert found.limits == Limits(cpu_ms=500, memory_mb=256, wall_time_ms=None, network=Network.NONE)
    assert found.permissions == Permissions(read_headers=True, write_tags=True)
    assert (found.entry.protocol, found.entry.mode) == (Protocol.STDIN, ProcessMode.ONESHOT)
    (hook,) = found.hooks
    assert (hook.name, hook.type) == ("com.example.spam:pre_receive", HookType.PRE_RECEIVE)
    assert (hook.priority, hook.timeout_ms) == (100, 2000)
    assert (hook.on_timeout, hook.on_error) == (Fallback.TEMPFAIL, Fallback.TEMPFAIL)


def test_everything_that_can_be_said_is_heard() -> None:
    """No key is read and forgotten."""
    found = manifest(
        """
        id = "org.example.all"
        version = "2.0.0-rc.1+build.5"
        name = "All"
        author = "Ann"
        description = "Does it all."
        license = "MIT"
        homepage = "https://example.org/"
        [compat]
        mairust_min = "0.0.1"
        mairust_max = "99.0.0"
        [entry]
        protocol = "stdin"
        command = ["python3", "all.py"]
        mode = "worker"
        max_calls = 7
        [[hooks]]
        type = "post_receive"
        name = "all-of-it"
        priority = -5
        timeout_ms = 300000
        on_timeout = "allow"
        on_error = "reject"
        [hooks.filter]
        sender_matches = "@example"
        has_attachments = true
        size_lt = 4096
        [permissions]
        read_body = "full"
        read_attachments = "metadata"
        write_flags = true
        move_message = true
        write_metadata = true
        [limits]
        cpu_ms = 900
        memory_mb = 64
        wall_time_ms = 1500
        network = "outbound-limited"
        network_allow = ["API.example.org:443", "[2001:4860:4860::8888]:53"]
        """
    )
    assert (found.author, found.license, found.homepage) == ("Ann", "MIT", "https://example.org/")
    assert (found.mairust_min, found.mairust_max) == ("0.0.1", "99.0.0")
    assert (found.entry.mode, found.entry.max_calls) == (ProcessMode.WORKER, 7)
    (hook,) = found.hooks
    assert (hook.name, hook.priority, hook.timeout_ms) == ("all-of-it", -5, 300_000)
    assert (hook.on_timeout, hook.on_error) == (Fallback.ALLOW, Fallback.REJECT)
    assert hook.filter == Filter(sender_matches="@example", has_attachments=True, size_lt=4096)
    assert found.permissions.read_body is Body.FULL
    assert found.limits == Limits(
        cpu_ms=900,
        memory_mb=64,
        wall_time_ms=1500,
        network=Network.OUTBOUND_LIMITED,
        network_allow=("api.example.org:443", "[2001:4860:4860::8888]:53"),
    )


def test_on_error_is_as_on_timeout_unless_it_is_said() -> None:
    """Contract §4."""
    text = SPAM.replace('type = "pre_receive"', 'type = "pre_receive"\non_timeout = "allow"')
    assert manifest(text).hooks[0].on_error is Fallback.ALLOW


def test_rule_j5_hooks_of_one_type_are_numbered() -> None:
    """`ID:TYPE`, `ID:TYPE:2`; one with a name counts, too."""
    more = "".join(
        f'[[hooks]]\n{name}type = "{type_}"\n'
        for name, type_ in (("", "pre_receive"), ("", "post_receive"), ('name = "x"\n', "pre_receive"))
    )
    names = [hook.name for hook in manifest(SPAM + more).hooks]
    assert names == [
        "com.example.spam:pre_receive",
        "com.example.spam:pre_receive:2",
        "com.example.spam:post_receive",
        "x",
    ]


@pytest.mark.parametrize(
    ("text", "detail", "line", "field"),
    [
        (SPAM + "colour = 1\n", "toml_unknown_key", 15, "permissions.colour"),
        (SPAM.replace("write_tags", "write_tag"), "toml_unknown_key_like", 14, "permissions.write_tag"),
        ("colour = 1\n" + SPAM, "toml_unknown_key", 1, "colour"),
        (SPAM + '[[hooks]]\ntype = "pre_receive"\n[hooks.filter]\nsubject = "x"\n',
         "toml_unknown_key_like", 18, "hooks.filter.subject"),
        ('depends = ["com.example.other"]\n' + SPAM, "plugin_depends", 1, "depends"),
        (SPAM.replace('"1.2.3"', '"1.2"'), "plugin_version", 2, "version"),
        (SPAM.replace('"1.2.3"', "1"), "toml_not_text", 2, "version"),
        (SPAM.replace('version = "1.2.3"\n', ""), "toml_missing", None, "version"),
        (SPAM.replace("com.example.spam", "spam"), "plugin_id", 1, "id"),
        (SPAM.replace("com.example.spam", "Com.Example"), "plugin_id", 1, "id"),
        (SPAM.replace("com.example.spam", "com.example/../x"), "plugin_id", 1, "id"),
        (SPAM.replace("com.example.spam", "mairust.spam"), "plugin_id_reserved", 1, "id"),
        (SPAM.replace('protocol = "stdin"\n', ""), "toml_missing", 5, "entry.protocol"),
        (SPAM.replace('"stdin"', '"inprocess"'), "toml_not_choice", 6, "entry.protocol"),
        (SPAM.replace('command = ["./spam"]\n', ""), "plugin_no_command", 5, "entry.command"),
        (SPAM.replace('["./spam"]', '"./spam"'), "toml_not_texts", 7, "entry.command"),
        (SPAM.replace('["./spam"]', '["./spam"]\nendpoint = "http://127.0.0.1:1"'),
         "plugin_idle_key", 8, "entry.endpoint"),
        (SPAM.replace('"pre_receive"', '"pre_send"'), "toml_not_choice", 10, "hooks.type"),
        (SPAM.replace('type = "pre_receive"', 'type = "pre_receive"\ntimeout_ms = 5001'),
         "toml_not_number", 11, "hooks.timeout_ms"),
        (SPAM + '[[hooks]]\nname = "b c"\ntype = "pre_receive"\n', "plugin_hook_name", 16, "hooks.name"),
        (SPAM + '[[hooks]]\nname = "org.other:pre_receive"\ntype = "pre_receive"\n',
         "plugin_hook_name", 16, "hooks.name"),
        (SPAM + '[[hooks]]\nname = "com.example.spam:pre_receive"\ntype = "pre_receive"\n',
         "plugin_hook_twice", 16, "hooks.name"),
        (SPAM.replace("read_headers = true", 'read_headers = "yes"'),
         "toml_not_flag", 13, "permissions.read_headers"),
        (SPAM + "[limits]\ncpu_ms = 0\n", "toml_not_number", 16, "limits.cpu_ms"),
        (SPAM + "[limits]\nmemory_mb = true\n", "toml_not_number", 16, "limits.memory_mb"),
        (SPAM + '[limits]\nnetwork = "all"\n', "toml_not_choice", 16, "limits.network"),
        (SPAM + '[compat]\nmairust_min = "99.0.0"\n', "plugin_compat", 16, "compat.mairust_min"),
        (SPAM + '[compat]\nmairust_max = "0.0.1"\n', "plugin_compat", 16, "compat.mairust_max"),
        (SPAM + "[permissions]\n", "toml_duplicate", 15, "plugin.toml"),
        (SPAM + "x =\n", "toml_syntax", 15, "plugin.toml"),
        ("hooks = 3\n" + SPAM.replace('[[hooks]]\ntype = "pre_receive"\n', ""),
         "toml_not_tables", 1, "hooks"),
        ("limits = 3\n" + SPAM, "toml_not_table", 1, "limits"),
    ],
)  # fmt: skip
def test_a_fault_names_file_line_and_key(text: str, detail: str, line: int | None, field: str) -> None:
    """Whatever is wrong, its author finds it."""
    found = fault(text, "/plugins/spam/plugin.toml")
    assert (found.detail, found.values["field"]) == (detail, field)
    place = f"/plugins/spam/plugin.toml:{line}" if line else "/plugins/spam/plugin.toml"
    assert found.values["where"] == place
    assert place in str(found)


def test_a_file_is_not_read_without_end() -> None:
    """A bound, and UTF-8."""
    assert fault("#" * 70_000).detail == "toml_too_long"
    with pytest.raises(Invalid, match="UTF-8"):
        read_manifest(b'id = "\xff"', GROUND)


def test_a_directory_without_manifest_says_so(tmp_path: Path) -> None:
    """The path is named."""
    with pytest.raises(Invalid, match=f"{tmp_path}/plugin.toml: it cannot be read"):
        read_directory(tmp_path, GROUND)
    (tmp_path / "plugin.toml").write_text(SPAM)
    assert read_directory(tmp_path, GROUND) == manifest(SPAM)


def test_rule_g5_ids_of_ours_are_for_our_own_plugins() -> None:
    """They alone run inside the server."""
    ours = replace(GROUND, builtin=True)
    text = (
        'id = "mairust.spam"\nversion = "1.0.0"\n[entry]\nprotocol = "inprocess"\nendpoint = "spam:answer"\n'
    )
    assert manifest(text, ours).entry.protocol is Protocol.INPROCESS


@pytest.mark.parametrize(
    "id_",
    ["..", "../x", "com.example/../x", "/com.example.x", "com.example.x/", "com\\\\example", "com..example",
     "com.example.\\u0000", "com.example.x\\n", ".com.example", "com.example.", "~", "com.éxample",
     "c" * 300 + ".d"],
)  # fmt: skip
def test_trap_h6_no_id_is_a_path(id_: str) -> None:
    """Whatever becomes a name of a file or a part of a URL is letters, digits, hyphens and single points."""
    with pytest.raises(Invalid, match=r"no domain written backwards|not one printable line"):
        manifest(SPAM.replace("com.example.spam", id_))


NETWORK = 'network = "local-only"\nnetwork_allow = ["127.0.0.1:9000"]'


@pytest.mark.parametrize(
    ("change", "detail"),
    [
        (('"local-only"', '"none"'), "plugin_needs_no_places"),
        ((NETWORK, ""), "plugin_http_network"),
        ((NETWORK, 'network = "unlimited"'), "plugin_http_network"),
        (('\nnetwork_allow = ["127.0.0.1:9000"]', ""), "plugin_no_places"),
        (('["127.0.0.1:9000"]', '["127.0.0.1:9001"]'), "plugin_endpoint_not_allowed"),
        (('["127.0.0.1:9000"]', '["127.0.0.1:9000", "192.0.2.1:80"]'), "plugin_not_local"),
        (('["127.0.0.1:9000"]', '["127.0.0.1"]'), "plugin_not_a_place"),
        (('"local-only"', '"outbound-limited"'), "plugin_not_public"),
        (("http://127.0.0.1:9000/hook", "http://user@127.0.0.1:9000/hook"), "plugin_not_http"),
        (("http://127.0.0.1:9000/hook", "ftp://127.0.0.1:9000/"), "plugin_not_http"),
        (("http://127.0.0.1:9000/hook", "http://[::ffff:127.0.0.1/"), "plugin_not_http"),
        (("[[hooks]]", 'health_endpoint = "http://127.0.0.1:1/"\n[[hooks]]'), "plugin_endpoint_not_allowed"),
    ],
)  # fmt: skip
def test_rule_h2_the_words_of_the_network_judge_an_http_endpoint(
    change: tuple[str, str], detail: str
) -> None:
    """At registration already; `none` is an error there."""
    assert fault(TICKETS.replace(*change)).detail == detail


def test_rule_h2_plain_http_goes_to_loopback_only() -> None:
    """Elsewhere it must be https."""
    text = TICKETS.replace("local-only", "outbound-limited").replace(
        "127.0.0.1:9000", "hooks.example.org:443"
    )
    assert fault(text).detail == "plugin_plain_http"
    assert manifest(text.replace("http://", "https://")).limits.network is Network.OUTBOUND_LIMITED


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "169.254.169.254", "[fe80::1]", "[::ffff:10.0.0.1]", "localhost"]
)
def test_rule_h2_private_addresses_need_the_sites_configuration(host: str) -> None:
    """Trap H4: metadata, link-local and mapped ones are told from public ones."""
    places = f'[limits]\nnetwork = "outbound-limited"\nnetwork_allow = ["{host}:80"]\n'
    assert fault(SPAM + places).detail == "plugin_not_public"
    known = replace(GROUND, private_networks=(ip_network("10.0.0.0/8"),))
    if host == "10.0.0.1":
        assert manifest(SPAM + places, known).limits.network_allow == ("10.0.0.1:80",)


@pytest.mark.parametrize(
    ("endpoint", "detail"),
    [
        ("unix:/srv/mairust/run/plugins/a.sock", None),
        ("unix:/srv/mairust/run/plugins/../a.sock", "plugin_not_unix"),
        ("unix:a.sock", "plugin_not_unix"),
        ("/srv/mairust/run/plugins/a.sock", None),
        ("/srv/mairust/run/plugins/../a.sock", "plugin_not_unix"),
        ("run/plugins/a.sock", "plugin_not_unix"),
        ("/tmp/a.sock", "plugin_outside_socket_dir"),
        ("unix:/tmp/a.sock", "plugin_outside_socket_dir"),
        ("unix:/srv/mairust/run/plugins", "plugin_outside_socket_dir"),
    ],
)
def test_rule_h2_sockets_lie_in_the_one_directory_for_them(endpoint: str, detail: str | None) -> None:
    """Under `plugins.socket_dir` and nowhere else; with or without `unix:` it is the same place."""
    keys = f'endpoint = "{endpoint}"\nhealth_endpoint = "{endpoint}"'
    text = SPAM.replace('"stdin"\ncommand = ["./spam"]', f'"unix"\n{keys}')
    if detail is None:
        entry = manifest(text).entry
        assert entry.endpoint == entry.health_endpoint == "unix:/srv/mairust/run/plugins/a.sock"
    else:
        assert fault(text).detail == detail


def test_a_protocol_of_an_extension_is_known_where_one_has_it() -> None:
    """Its endpoint is text of the extension's own; what is said of processes it has no use for."""
    ground = replace(GROUND, speaks=lambda name: name == "acme")
    text = SPAM.replace('"stdin"\ncommand = ["./spam"]', '"acme"\nendpoint = "anything at all"')
    entry = manifest(text, ground).entry
    assert (entry.protocol, entry.way, entry.endpoint) == (Protocol.EXTENSION, "acme", "anything at all")
    assert fault(text).detail == "toml_not_choice"
    for word in ("extension", "other"):
        with pytest.raises(Invalid):
            manifest(text.replace('"acme"', f'"{word}"'), ground)
    with pytest.raises(Invalid, match="max_calls"):
        manifest(text.replace("endpoint", "max_calls = 5\nendpoint"), ground)


def test_only_what_is_installed_runs_inside() -> None:
    """No package and no linked directory says it; ids of ours stay ours."""
    text = SPAM.replace('"stdin"\ncommand = ["./spam"]', '"inprocess"')
    assert manifest(text, replace(GROUND, inside=True)).entry.protocol is Protocol.INPROCESS
    assert fault(text).detail == "toml_not_choice"
    with pytest.raises(Invalid, match="mairust"):
        manifest(text.replace("com.example", "mairust"), replace(GROUND, inside=True))


def test_the_reference_tells_every_key() -> None:
    """Each in backquotes; its example is one that is read."""
    page = (CHECKOUT / "docs/reference/plugin-toml.md").read_text("utf-8")
    kinds = (Permissions, Limits, Entry, Filter)
    names = {one.name for kind in kinds for one in fields(kind)}
    names |= {one.name for one in fields(Manifest)} | {"compat", "depends"}
    names |= {"type", "name", "priority", "timeout_ms", "on_timeout", "on_error", "filter"}
    told = set(re.findall(r"`\[*([a-z_]+)\]*`", page))
    assert names - told == set()
    example = page.split("```text\n")[1].split("```")[0]
    assert manifest(example).hooks[0].name == "com.example.spam:pre_receive"
