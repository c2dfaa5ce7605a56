"""`mairust job`."""

from __future__ import annotations

from typing import Annotated

import typer

from mairust_cli.choices import choice
from mairust_cli.listing import All, Cursor, Limit, pages
from mairust_cli.output import Column, Columns
from mairust_cli.session import Session
from mairust_cli.text import moment
from mairust_cli.tree import COMMANDS, Command, noun
from mairust_cli.words import Yes
from mairust_core.errors import Usage
from mairust_core.model.job import Job, JobsChanged, JobSelection, State
from mairust_core.services.jobs import Jobs

app = noun(COMMANDS["job"])

JobId = Annotated[str, typer.Argument(metavar="ID", help="As `job list` shows it.")]
MaybeId = Annotated[str | None, typer.Argument(metavar="[ID]", help="As `job list` shows it.")]
Kind = Annotated[str | None, typer.Option("--kind", metavar="KIND", help="Only jobs of this kind, as `gc`.")]

COLUMNS: Columns[Job] = (
    Column("Id", lambda job: str(job.id)),
    Column("Kind", lambda job: job.kind),
    Column("Subject", lambda job: job.subject or "-", sense="job"),
    Column("State", lambda job: job.state),
    Column("Attempts", lambda job: f"{job.attempts}/{job.max_attempts}", right=True),
    Column("Runs at", lambda job: moment(job.run_at)),
    Column("Last error", lambda job: job.last_error or "-"),
)

FIELDS: Columns[Job] = (
    *COLUMNS[:5],
    Column("Priority", lambda job: job.priority.name.lower()),
    Column("Created", lambda job: moment(job.created_at)),
    Column("Runs at", lambda job: moment(job.run_at)),
    Column("Worker", lambda job: job.worker or "-"),
    Column("Leased until", lambda job: moment(job.leased_until)),
    Column("Finished", lambda job: moment(job.finished_at)),
    Column("Last error", lambda job: job.last_error or "-"),
)

CHANGED: Columns[JobsChanged] = (Column("Jobs", lambda changed: str(changed.jobs)),)


@app.command("list", cls=Command)
def list_(
    ctx: typer.Context,
    state: Annotated[
        str | None,
        typer.Option("--state", metavar="|".join(State), help="Only those in this state."),
    ] = None,
    kind: Kind = None,
    limit: Limit = None,
    cursor: Cursor = None,
    all_: All = False,
) -> None:
    """List the jobs, newest first.

    A job is ready until its time has come and a worker is free; running; done, and looked up for a week; dead
    when its last attempt failed; or held after a restore.

    Exit status: 0 listed; 2 no such state.

    Examples:
      mairust job list
      mairust job list --state dead --kind gc
      mairust job list --json --all
    """
    session = Session.of(ctx)
    jobs = session.operations(Jobs)
    wanted = choice(State, "state", state) if state else None
    found = pages(
        lambda after, count: jobs.browse(state=wanted, kind=kind or "", cursor=after, limit=count),
        limit,
        cursor,
        all_,
    )
    session.output.page(found, COLUMNS)


@app.command("show", cls=Command)
def show(ctx: typer.Context, id_: JobId) -> None:
    """Show one job.

    Exit status: 0 shown; 4 there is no such job.

    Examples:
      mairust job show 731824090112
    """
    session = Session.of(ctx)
    session.output.item(session.operations(Jobs).show(id_), FIELDS)


@app.command("retry", cls=Command)
def retry(
    ctx: typer.Context,
    id_: MaybeId = None,
    all_: Annotated[bool, typer.Option("--all", help="All dead jobs.")] = False,
    kind: Kind = None,
) -> None:
    """Let a dead job, or one that waits for its next attempt, run now.

    A dead one has all its attempts again.

    Exit status: 0 it will run; 4 there is no such job; 5 it runs, is done, or is held.

    Examples:
      mairust job retry 731824090112
      mairust job retry --all --kind gc
    """
    session = Session.of(ctx)
    jobs = session.operations(Jobs)
    if all_:
        session.output.change(jobs.retry_all(_selection(id_, kind)), CHANGED)
    else:
        session.output.change(jobs.retry(_one(id_, kind)), FIELDS)


@app.command("discard", cls=Command)
def discard(
    ctx: typer.Context,
    id_: MaybeId = None,
    all_: Annotated[bool, typer.Option("--all", help="All dead jobs.")] = False,
    kind: Kind = None,
    yes: Yes = False,
) -> None:
    """Delete a job that is not running, or all dead ones.

    What they were for is not done any more.

    Exit status: 0 deleted; 4 there is no such job; 5 it is running.

    Examples:
      mairust job discard 731824090112 --yes
      mairust job discard --all --yes
    """
    session = Session.of(ctx)
    jobs = session.operations(Jobs)
    if all_:
        which = _selection(id_, kind)
        if which.kind:
            session.confirm("discard_dead_jobs_of_kind", yes, kind=which.kind)
        else:
            session.confirm("discard_dead_jobs", yes)
        session.output.change(jobs.discard_all(which), CHANGED)
        return
    one = _one(id_, kind)
    session.confirm("discard_job", yes, id=one)
    session.output.removed(jobs.discard(one), "job")


@app.command("release", cls=Command)
def release(
    ctx: typer.Context,
    id_: MaybeId = None,
    all_: Annotated[bool, typer.Option("--all", help="All held jobs.")] = False,
    kind: Kind = None,
) -> None:
    """Let a held job run when its time has come.

    A restored site holds its jobs, so that nothing is done twice while the old one may still be there.

    Exit status: 0 it is not held any more; 4 there is no such job.

    Examples:
      mairust job release 731824090112
      mairust job release --all
    """
    session = Session.of(ctx)
    jobs = session.operations(Jobs)
    if all_:
        session.output.change(jobs.release_all(_selection(id_, kind)), CHANGED)
    else:
        session.output.change(jobs.release(_one(id_, kind)), FIELDS)


def _selection(id_: str | None, kind: str | None) -> JobSelection:
    if id_ is not None:
        raise Usage("job_and_all", id=id_)
    return JobSelection(kind=kind or "")


def _one(id_: str | None, kind: str | None) -> str:
    if id_ is None or kind is not None:
        raise Usage("no_job")
    return id_
