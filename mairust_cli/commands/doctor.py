"""`mairust doctor`."""

from __future__ import annotations

from collections import Counter

import typer

from mairust_cli.output import Output
from mairust_cli.session import Session
from mairust_cli.text import clean
from mairust_cli.tree import Command, single
from mairust_core.i18n import say
from mairust_core.model.finding import Examination, Finding, Level

app = single()

COLOURS = {Level.ERROR: "red", Level.WARNING: "yellow", Level.INFO: "cyan"}
BAD = 1


@app.command(cls=Command)
def doctor(ctx: typer.Context) -> None:
    """Look for what is wrong with the site, and say what mends it.

    It looks at the configuration, files and permissions, certificates, the database, the disk and the running
    server, and changes nothing. It works also where nothing else does. Each finding has a stable id, which
    the reference of findings explains.

    Exit status: 0 no error, perhaps warnings; 1 at least one error.

    Examples:
      mairust doctor
      mairust doctor --json
    """
    session = Session.of(ctx)
    found = _examined(session)
    if session.output.json:
        session.output.document(found)
    else:
        session.output.lines(_told(found, session.output))
    if found.is_bad:
        raise typer.Exit(BAD)


def _examined(session: Session) -> Examination:
    lang = session.output.lang
    if session.server_url:
        from mairust_core.services.doctor import Doctor

        return session.operations(Doctor).examine(lang=lang)
    from mairust_core.doctor import examine

    return examine(session.settings, lang)


def _told(found: Examination, output: Output) -> list[str]:
    if not found.findings:
        return [output.paint(say("doctor.well", output.lang), "green")]
    lines = [line for finding in found.findings for line in (*_finding(finding, output), "")]
    levels = Counter(finding.level for finding in found.findings)
    counted = {"errors": levels[Level.ERROR], "warnings": levels[Level.WARNING], "infos": levels[Level.INFO]}
    return [*lines, say("doctor.summary", output.lang, **counted)]


def _finding(finding: Finding, output: Output) -> list[str]:
    known = finding.level in COLOURS  # a newer server may have more
    word = say(f"doctor.{finding.level}", output.lang) if known else clean(finding.level)
    level = output.paint(word, COLOURS.get(finding.level, "red"))
    return [
        f"{level}  {output.paint(finding.id, 'bold')}",
        f"  {clean(finding.what)}",
        f"  {clean(finding.why)}",
        f"  → {output.paint(clean(finding.mend), 'cyan')}",
    ]
