"""`mairust status`."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from typing import Annotated

import typer

from mairust_cli.durations import duration
from mairust_cli.output import Output
from mairust_cli.session import Session
from mairust_cli.text import clean, moment, pad, size, width
from mairust_cli.tree import Command, single
from mairust_core.errors import Invalid, Usage
from mairust_core.i18n import say
from mairust_core.model.status import Overview, TaskRun
from mairust_core.services.status import Status

app = single()

EVERY_S = 2.0
SHORTEST_S, LONGEST_S = 0.1, 3600
_HOME_AND_CLEAR = "\x1b[H\x1b[J"
PROCESSES_SHOWN = 8


@app.command(cls=Command)
def status(
    ctx: typer.Context,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show it again and again, on a terminal, until Ctrl-C.")
    ] = False,
    every: Annotated[
        float, typer.Option("--every", metavar="SECONDS", help="How often --watch looks.", show_default=True)
    ] = EVERY_S,
) -> None:
    """Show on one screen what is going on.

    The running server and its listeners, mail of the last hour and day, what the site holds, the database,
    room on the disk, what waits, jobs, when collection ran last, and how old and how whole the last backup
    is. A key that does not reach the whole site is shown its own numbers only.

    Exit status: 0 shown; 75 the database or the server does not answer; 78 there is no site.

    Examples:
      mairust status
      mairust status --json
    """
    session = Session.of(ctx)
    output = session.output
    if watch and (output.json or not output.on_terminal):
        raise Usage("watch_off_terminal")
    if not SHORTEST_S <= every <= LONGEST_S:
        raise Invalid("every", "seconds_range", value=f"{every:g}", low=SHORTEST_S, high=LONGEST_S)
    operations = session.operations(Status)
    while True:
        found = operations.show()
        if output.json:
            output.document(found)
        else:
            output.lines([(_HOME_AND_CLEAR if watch else "") + "\n".join(screen(found, output))])
        if not watch:
            return
        time.sleep(every)


def screen(found: Overview, output: Output) -> list[str]:
    """The screen, a line or more for each part."""
    rows = [(say(f"status.{part}", output.lang), line) for part, line in _parts(found, output)]
    edge = max(width(title) for title, _ in rows) + 2
    lines, before = [], ""
    for title, line in rows:
        shown = title if title != before else ""
        before = title
        lines.append(output.paint(pad(shown, edge), "bold") + clean(line))
    return lines


def _parts(found: Overview, output: Output) -> Iterator[tuple[str, str]]:
    lang = output.lang
    yield "site", say("status.version", lang, version=found.version, at=moment(found.at))
    if found.database is not None:  # without site reach nothing of the server is told
        yield from (("server", line) for line in _server(found, lang))
    if found.mail is not None:
        mail = found.mail
        hour = {"accepted": mail.accepted_last_hour, "refused": mail.refused_last_hour}
        day = {"accepted": mail.accepted_last_day, "refused": mail.refused_last_day}
        yield "mail", say("status.hour", lang, **hour)
        yield "mail", say("status.day", lang, **day)
    yield "content", _content(found, lang)
    yield from _stores(found, lang)
    if found.queues is not None:
        waiting = {"accounts": found.queues.accounts_to_purge, "blobs": found.queues.blobs_to_delete}
        yield "queues", say("status.queues_are", lang, **waiting)
    yield from (("queues", line) for line in _trash(found, lang))
    yield from (("jobs", line) for line in _jobs(found, lang))
    yield from (("hooks", line) for line in _hooks(found, lang))
    if found.database is not None:
        yield "collection", _run(found.collection, found.at, lang)
    yield from (("backup", line) for line in _backups(found, lang))
    for one in found.processes[:PROCESSES_SHOWN]:
        ago = duration((found.at - one.renewed_at).total_seconds(), lang)
        yield "processes", say("status.process", lang, host=one.host, pid=one.pid, ago=ago)


def _server(found: Overview, lang: str) -> Iterator[str]:
    server = found.server
    if server is None:
        yield say("status.not_running", lang)
        return
    up = duration((found.at - server.started_at).total_seconds(), lang)
    yield say(
        "status.running", lang, pid=server.pid, workers=server.workers, up=up, version=server.version
    )  # fmt: skip
    yield say("status.listeners", lang, smtp=server.smtp, lmtp=server.lmtp, http=server.http)


def _content(found: Overview, lang: str) -> str:
    held = found.counts
    return say(
        "status.counts", lang, domains=held.domains, accounts=held.accounts, messages=f"{held.messages:,}",
        size=size(held.bytes),
    )  # fmt: skip


def _stores(found: Overview, lang: str) -> Iterator[tuple[str, str]]:
    if (base := found.database) is not None:
        told = {"kind": base.kind, "version": base.version, "schema": base.schema}
        yield "database", say("status.database_is", lang, **told, size=size(base.size_bytes))
    if (blobs := found.blobs) is not None:
        room = {"used": blobs.used_bytes, "free": blobs.free_bytes, "total": blobs.total_bytes}
        told = {name: size(value) for name, value in room.items()}
        yield "blobs", say("status.blobs_are", lang, driver=blobs.driver, **told)
    elif base is not None:
        yield "blobs", say("status.blobs_away", lang)


def _hooks(found: Overview, lang: str) -> Iterator[str]:
    """What is asked about mail, where anything is registered."""
    hooks = found.hooks
    if hooks is None:
        return
    plugins = hooks.plugins_enabled + hooks.plugins_disabled + hooks.plugins_blocked + hooks.plugins_waiting
    if plugins:
        counts = {"hooks": hooks.hooks, "plugins": hooks.plugins_enabled, "waiting": hooks.plugins_waiting}
        yield say("status.hooks_are", lang, **counts)
    if hooks.plugins_unsigned:
        yield say("status.unsigned", lang, count=hooks.plugins_unsigned)
    if hooks.plugins_blocked:
        yield say("status.blocked", lang, count=hooks.plugins_blocked)
    if hooks.breakers_open:
        yield say("status.breakers", lang, names=", ".join(hooks.breakers_open))
    if hooks.plugins_unwell:
        yield say("status.unwell", lang, names=", ".join(hooks.plugins_unwell))


def _trash(found: Overview, lang: str) -> Iterator[str]:
    trash = found.trash
    if trash is not None and trash.first_gone_at is not None:
        left = duration((trash.first_gone_at - found.at).total_seconds(), lang)
        yield say("status.trash_is", lang, messages=trash.messages, left=left)


def _jobs(found: Overview, lang: str) -> Iterator[str]:
    jobs = found.jobs
    if jobs is None:
        return
    told = {"ready": jobs.ready, "due": jobs.due, "running": jobs.running}
    yield say("status.jobs_are", lang, **told, dead=jobs.dead, held=jobs.held)
    if jobs.oldest_due_at is not None:
        ago = duration((found.at - jobs.oldest_due_at).total_seconds(), lang)
        yield say("status.jobs_due", lang, ago=ago)


def _backups(found: Overview, lang: str) -> Iterator[str]:
    if (backups := found.backups) is None:
        return
    if (last := backups.last) is None:
        yield say("status.never", lang)
        return
    told = {"repository": last.repository, "messages": f"{last.messages:,}"}
    yield say(
        "status.backup_is", lang, ago=duration((found.at - last.started_at).total_seconds(), lang), **told
    )
    if last.damaged:
        yield say("status.backup_lacks", lang, count=last.damaged)
    for one in backups.verified:
        if one.verified_at is not None:
            key = "status.backup_damaged" if one.verify_damaged else "status.backup_whole"
            ago = duration((found.at - one.verified_at).total_seconds(), lang)
            counted = {"percent": one.verified_percent, "count": one.verify_damaged}
            yield say(key, lang, repository=one.repository, ago=ago, **counted)


def _run(last: TaskRun | None, now: datetime, lang: str) -> str:
    if last is None:
        return say("status.never", lang)
    done = ", ".join(f"{name} {count}" for name, count in last.outcome.items() if count)
    return say(
        "status.collected", lang, ago=duration((now - last.at).total_seconds(), lang),
        took=f"{last.took_s:.1f}", outcome=done or say("status.nothing", lang),
    )  # fmt: skip
