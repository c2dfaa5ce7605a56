"""Listening, stopping, vanishing clients, and running out of descriptors."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import smtplib
import socket
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import mairust_core
from mairust_core.model.envelope import Road
from mairust_core.observe.counters import Counters
from mairust_core.smtp.binding import bind_tcp
from mairust_core.smtp.memory import MemoryReceiver
from mairust_core.smtp.server import Listener
from mairust_core.smtp.settings import ListenerSettings
from tests.integration.smtp.client import PATIENCE_S, RawClient, connect
from tests.integration.smtp.conftest import Listen
from tests.support.users import NOBODY

ROOT = Path(mairust_core.__file__).parent.parent
SETTINGS = ListenerSettings(hostname="mx.example.org")


async def test_a_bound_socket_is_taken_over(receiver: MemoryReceiver) -> None:
    """A listener serves a socket that somebody else bound, and says where it is."""
    (bound,) = bind_tcp("127.0.0.1", 0)
    listener = Listener(receiver, SETTINGS, Counters.alone())
    assert await listener.start(bound) == f"127.0.0.1:{bound.getsockname()[1]}"
    async with await connect(f"127.0.0.1:{bound.getsockname()[1]}") as client:
        await client.greet()
    assert await listener.stop(1) == 0
    assert bound.fileno() == -1


async def test_addresses_in_use_are_an_error(listen: Listen, receiver: MemoryReceiver) -> None:
    """A taken port and a UNIX path where something else lies cannot be listened on."""
    with pytest.raises(OSError, match="in use"):
        await Listener(receiver, SETTINGS, Counters.alone()).start(await listen())


async def test_unix_sockets_replace_stale_ones_only(
    tmp_path: Path, listen: Listen, receiver: MemoryReceiver
) -> None:
    """A socket nobody listens on is replaced, a living one and other files are not; it goes when we stop."""
    path = tmp_path / "lmtp"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    address = await listen(f"unix:{path}", road=Road.LMTP)
    with pytest.raises(OSError, match="in use"):
        await Listener(receiver, SETTINGS, Counters.alone()).start(address)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="in use"):
        await Listener(receiver, SETTINGS, Counters.alone()).start(f"unix:{tmp_path}/file")
    listener = Listener(receiver, SETTINGS, Counters.alone())
    await listener.start(f"unix:{tmp_path}/other")
    await listener.stop(0)
    assert not (tmp_path / "other").exists()


async def test_rule_d4_the_deliver_socket_takes_bytes_untouched(
    tmp_path: Path, listen: Listen, receiver: MemoryReceiver
) -> None:
    """It is for the owner alone (0600), takes BDAT only, refuses no line end and changes no byte."""
    path = tmp_path / "deliver.sock"
    async with await connect(await listen(f"unix:{path}", road=Road.DELIVER)) as client:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "BINARYMIME" in await client.greet("LHLO localhost")
        content = b"From: x\n\n.\n\x00\xff\r.\r\nno end"
        await client.send(
            b"MAIL FROM:<> BODY=BINARYMIME\r\nRCPT TO:<ann@example.org>\r\n"
            b"RCPT TO:<bob@example.org>\r\nDATA\r\n"
            b"BDAT %d LAST\r\n%s" % (len(content), content)
        )
        assert [answer[:3] for answer in await client.replies(6)] == [
            "250",
            "250",
            "250",
            "502",
            "250",
            "250",
        ]
    assert receiver.arrived[0].data == content
    assert receiver.arrived[0].envelope.connection.road is Road.DELIVER


@pytest.fixture
def open_directory() -> Iterator[Path]:
    """A directory that every user can enter."""
    path = Path(tempfile.mkdtemp(prefix="mairust-test-"))
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


async def test_rule_d4_the_deliver_socket_refuses_other_users(open_directory: Path, listen: Listen) -> None:
    """A peer that is neither the owner nor root is refused even when the file permissions are too wide."""
    path = open_directory / "deliver.sock"
    is_root = os.getuid() == 0
    address = await listen(f"unix:{path}", road=Road.DELIVER, owner_uid=os.getuid() if is_root else 0)
    path.chmod(0o666)
    if is_root:
        code = f"import socket; s = socket.socket(1); s.connect({str(path)!r}); print(s.recv(99).decode())"
        command = ["/usr/bin/env", "python3", "-c", code]
        child = await asyncio.to_thread(
            subprocess.run, command, capture_output=True, timeout=PATIENCE_S, user=NOBODY, check=True
        )
        greeting = child.stdout.decode()
    else:
        async with await connect(address) as client:
            greeting = await client.rest()
    assert greeting.startswith("554 5.7.1")


async def test_stopping_lets_transactions_finish(receiver: MemoryReceiver) -> None:
    """Idle clients get 421 4.3.2 at once; a mail on its way is stored and acknowledged first."""
    listener = Listener(receiver, SETTINGS, Counters.alone())
    address = await listener.start("127.0.0.1:0")
    async with await connect(address) as idle, await connect(address) as busy:
        await idle.greet()
        await busy.greet()
        await busy.open_data()
        stopping = asyncio.create_task(listener.stop(20))
        assert (await idle.rest()).startswith("421 4.3.2")
        await busy.send(b"x\r\n.\r\n")
        assert (await busy.rest()).splitlines() == [
            "250 2.0.0 stored 1",
            "421 4.3.2 Service is shutting down, try again later",
        ]
        assert await stopping == 0
        with pytest.raises(ConnectionRefusedError):
            await connect(address)
    assert len(receiver.arrived) == 1


async def test_stopping_cuts_what_does_not_end(receiver: MemoryReceiver) -> None:
    """After the grace period the rest is cut, counted, and not acknowledged."""
    listener = Listener(receiver, SETTINGS, Counters.alone())
    address = await listener.start("127.0.0.1:0")
    receiver.gate = asyncio.Event()
    async with await connect(address) as in_data, await connect(address) as in_receive:
        await in_data.greet()
        await in_data.open_data()
        await in_receive.greet()
        await in_receive.open_data()
        await in_receive.send(b"x\r\n.\r\n")
        await until(lambda: bool(any(collector.finished for collector in receiver.collectors)))
        assert await listener.stop(0.1) == 2
        assert b"250" not in await in_receive.reader.read(-1)
    assert receiver.arrived == []


async def test_a_mail_is_stored_though_its_client_vanishes(listen: Listen, receiver: MemoryReceiver) -> None:
    """Once the final dot was read the mail is stored, whoever waits for the answer (RFC 1047)."""
    receiver.gate = asyncio.Event()
    async with await connect(await listen()) as client:
        await client.greet()
        await client.open_data()
        await client.send(b"x\r\n.\r\n")
        await until(lambda: bool(receiver.collectors[0].finished))
        client.writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0"
        )
    await asyncio.sleep(0.05)
    receiver.gate.set()
    await until(lambda: bool(receiver.arrived))
    assert receiver.arrived[0].data == b"x\r\n"


@pytest.mark.parametrize("cut", [0, 1, 100, 70_000, 140_000])
async def test_disconnecting_in_content_stores_nothing(
    cut: int, listen: Listen, receiver: MemoryReceiver
) -> None:
    """A mail without its end is forgotten, wherever it breaks off."""
    async with await connect(await listen()) as client:
        await client.greet()
        await client.open_data()
        await client.send((b"x" * 68 + b"\r\n") * (cut // 70 + 1))
    await until(lambda: bool(receiver.collectors[0].discarded))
    assert receiver.arrived == []


async def test_fifty_clients_at_once(listen: Listen, receiver: MemoryReceiver) -> None:
    """Fifty clients with random cuts get their mails through, each exactly once and whole."""
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    address = await listen()

    async def deliver(number: int) -> None:
        chance = random.Random(seed + number)
        async with await connect(address) as client:
            await client.greet()
            for mail in range(4):
                line = f"{number}.{mail} " + "x" * chance.randrange(900)
                content = f"{line}\r\n".encode() * chance.choice((1, 20, 200))
                await client.open_data()
                await send_in_pieces(client, content + b".\r\n", chance)
                assert (await client.reply()).startswith("250")

    await asyncio.gather(*(deliver(number) for number in range(50)))
    kinds = {mail.data.split(b" ", 1)[0] for mail in receiver.arrived}
    assert len(receiver.arrived) == len(kinds) == 200
    assert all(len(set(mail.data.splitlines())) == 1 for mail in receiver.arrived)


async def send_in_pieces(client: RawClient, data: bytes, chance: random.Random) -> None:
    """Send in a few pieces cut anywhere."""
    cuts = sorted(chance.sample(range(len(data) + 1), min(3, len(data))))
    for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True):
        await client.send(data[start:end])
        await asyncio.sleep(0)


SERVER_WITH_FEW_DESCRIPTORS = """
    import asyncio, logging, os, resource, sys
    from mairust_core.observe.counters import Counters
    from mairust_core.smtp.memory import MemoryReceiver
    from mairust_core.smtp.server import Listener
    from mairust_core.smtp.settings import ListenerSettings

    async def main():
        logging.basicConfig(stream=sys.stderr)
        listener = Listener(MemoryReceiver(), ListenerSettings(hostname="mx"), Counters.alone())
        address = await listener.start("127.0.0.1:0")
        highest = max(int(number) for number in os.listdir("/proc/self/fd"))
        resource.setrlimit(resource.RLIMIT_NOFILE, (highest + 6, highest + 6))
        print(address, flush=True)
        done = asyncio.Event()
        asyncio.get_running_loop().add_reader(sys.stdin, done.set)
        await done.wait()

    {run}(main())
"""


@pytest.mark.parametrize("run", ["asyncio.run", "__import__('uvloop').run"])
def test_trap_s12_running_out_of_descriptors_does_not_spin(run: str, tmp_path: Path) -> None:
    """With no descriptors left the listener waits instead of spinning, and serves again later."""
    log = tmp_path / "log"
    code = textwrap.dedent(SERVER_WITH_FEW_DESCRIPTORS).format(run=run)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        log.open("wb") as errors,
        subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,  # its end is the child's end, too
            stdout=subprocess.PIPE,
            stderr=errors,
            env=environment,
        ) as child,
    ):
        assert child.stdout is not None
        host, port = child.stdout.readline().decode().strip().split(":")
        clients = [socket.create_connection((host, int(port)), PATIENCE_S) for _ in range(20)]
        wait_for(lambda: b"cannot accept" in log.read_bytes())
        before = cpu_ticks(child.pid)
        time.sleep(1)
        assert cpu_ticks(child.pid) - before < 0.3 * os.sysconf("SC_CLK_TCK")
        assert log.read_bytes().count(b"cannot accept") < 10
        for client in clients:
            client.close()
        with smtplib.SMTP(host, int(port), timeout=PATIENCE_S) as sender:
            assert sender.sendmail("b@example.net", ["ann@example.org"], b"x\r\n") == {}
        child.kill()


def wait_for(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def until(condition: Callable[[], bool]) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110 -- what is waited for tells nobody
            await asyncio.sleep(0.01)


def cpu_ticks(pid: int) -> int:
    """User and system time of a process."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
