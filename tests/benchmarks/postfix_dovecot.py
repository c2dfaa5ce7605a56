"""Postfix and Dovecot as neighbours of the ingest benchmark: instances of their own, in a directory, as root.

Both run with what they come with, but for where things lie and what they listen on: Postfix syncs each mail
into its queue before its 250 and hands it to Dovecot's LMTP, which syncs it into an mdbox. Neither looks up
users in a database, and neither writes a log that anybody waits for: what differs from a real site is in
their favour.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.benchmarks.servers import DIE_WITH_US, READY_TIMEOUT_S, Server, ServerFailed, end, tail
from tests.benchmarks.sites import DOMAIN
from tests.support.ports import free_port

POSTFIX_DAEMONS, DOVECOT_LMTP = Path("/usr/lib/postfix/sbin"), Path("/usr/lib/dovecot/lmtp")
DRAIN_TIMEOUT_S = 120.0
_POLL_S = 0.02

_DOVECOT = """
base_dir = {directory}/run
state_dir = {directory}/state
log_path = {directory}/log
protocols = lmtp
ssl = no
first_valid_uid = 1
mail_location = mdbox:~/mdbox
postmaster_address = postmaster@{domain}
passdb {{
  driver = static
  args = nopassword=y
}}
userdb {{
  driver = static
  args = uid=mail gid=mail home={directory}/mail/%u
}}
service lmtp {{
  unix_listener {directory}/lmtp {{
    mode = 0666
  }}
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {port}
  }}
}}
"""
_MAIN_CF = """
compatibility_level = 3.6
queue_directory = {directory}/queue
data_directory = {directory}/data
daemon_directory = {daemons}
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = postfix.example
mydestination =
virtual_mailbox_domains = {domain}
virtual_mailbox_maps = static:known
virtual_transport = lmtp:unix:{lmtp}
message_size_limit = 52428800
maillog_file = {directory}/log
maillog_file_prefixes = {directory}
"""
_MASTER_CF = """
127.0.0.1:{port} inet n - n - - smtpd
pickup unix n - n 60 1 pickup
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
flush unix n - n 1000? 0 flush
proxymap unix - - n - - proxymap
lmtp unix - - n - - lmtp
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""


def missing() -> str | None:
    """Why they cannot run here and what to do about it; None when they can."""
    if not POSTFIX_DAEMONS.is_dir() or not DOVECOT_LMTP.exists():
        return "Postfix or Dovecot's LMTP is not installed: apt-get install postfix dovecot-lmtpd"
    return "Postfix and Dovecot start as root only" if os.geteuid() else None


@contextlib.contextmanager
def dovecot(directory: Path) -> Iterator[Server]:
    """Dovecot's LMTP on a free port and on the socket `lmtp` in `directory`. Raises: ServerFailed."""
    port = free_port()
    (directory / "mail").mkdir(parents=True)
    shutil.chown(directory / "mail", "mail", "mail")
    configuration = directory / "dovecot.conf"
    configuration.write_text(_DOVECOT.format(directory=directory, port=port, domain=DOMAIN), "utf-8")
    with _listening(["dovecot", "-F", "-c", str(configuration)], port, directory / "log") as server:
        yield server


@contextlib.contextmanager
def postfix(directory: Path, lmtp: Path) -> Iterator[Server]:
    """Postfix on a free port, which hands its mail to the LMTP socket. Raises: ServerFailed."""
    port = free_port()
    places = {"directory": directory, "daemons": POSTFIX_DAEMONS, "domain": DOMAIN, "port": port}
    for name in ("queue", "data", "conf"):
        (directory / name).mkdir(parents=True)
    shutil.chown(directory / "data", "postfix")
    (directory / "conf" / "main.cf").write_text(_MAIN_CF.format(lmtp=lmtp, **places), "utf-8")
    (directory / "conf" / "master.cf").write_text(_MASTER_CF.format(**places), "utf-8")
    command = ["postfix", "-c", str(directory / "conf")]
    with _listening([*command, "start-fg"], port, directory / "log") as server:
        try:
            yield server
        finally:  # its master leads a session of its own, which the signal to the starter does not reach
            subprocess.run([*command, "stop"], check=False, capture_output=True)


def drain(directory: Path) -> float:
    """Wait until Postfix has nothing queued any more; when that was, by `time.perf_counter`.

    Raises: ServerFailed when mail was deferred, or is still there after two minutes.
    """
    queue = directory / "queue"
    begun = time.perf_counter()
    while time.perf_counter() < begun + DRAIN_TIMEOUT_S:
        if _queued(queue, "deferred"):
            raise ServerFailed(f"Postfix deferred mail: {tail(directory / 'log')}")
        if not _queued(queue, "maildrop", "incoming", "active"):
            return time.perf_counter()
        time.sleep(_POLL_S)
    raise ServerFailed(f"Postfix still has mail after {DRAIN_TIMEOUT_S} s: {tail(directory / 'log')}")


def kept(directory: Path, users: list[str]) -> int:
    """How much mail Dovecot holds for these users, as it says itself."""
    command = ["doveadm", "-c", str(directory / "dovecot.conf"), "-f", "tab", "mailbox", "status", "-u"]
    found = 0
    for user in users:
        done = subprocess.run([*command, user, "messages", "INBOX"], capture_output=True, check=True)
        found += int(done.stdout.split()[-1])
    return found


def _queued(queue: Path, *names: str) -> bool:
    return any(files for name in names for _, _, files in os.walk(queue / name))


@contextlib.contextmanager
def _listening(command: list[str], port: int, log: Path) -> Iterator[Server]:
    with subprocess.Popen(
        [*DIE_WITH_US, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            _wait_for(port, process, f"{command[0]}: nothing listens on port {port}: ", log)
            yield Server(process.pid, {"smtp": f"127.0.0.1:{port}"})
        finally:
            end(process)


def _wait_for(port: int, process: subprocess.Popen[bytes], complaint: str, log: Path) -> None:
    begun = time.monotonic()
    while time.monotonic() < begun + READY_TIMEOUT_S and process.poll() is None:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", port)):
            return
        time.sleep(_POLL_S)
    raise ServerFailed(complaint + tail(log))
