"""`mairust completion`."""

from __future__ import annotations

from typing import Annotated

import typer

from mairust_cli.session import Session
from mairust_cli.tree import Command, single
from mairust_core.errors import Invalid

app = single()


@app.command(cls=Command)
def completion(
    ctx: typer.Context,
    shell: Annotated[str, typer.Argument(metavar="SHELL", help="bash, zsh or fish.")],
) -> None:
    """Print a completion script for a shell.

    bash: put it into ~/.local/share/bash-completion/completions/mairust; zsh: as _mairust into a directory
    of $fpath; fish: into ~/.config/fish/completions/mairust.fish. The names of commands that installed
    extensions bring are in it, too.

    Exit status: 0 printed; 2 there is none for that shell.

    Examples:
      mairust completion bash
    """
    session = Session.of(ctx)
    session.stay_local("completion")
    from mairust_cli.completions import SHELLS
    from mairust_cli.outline import joined_outline

    if shell not in SHELLS:
        raise Invalid("shell", "not_choice", value=repr(shell[:20]), known=", ".join(SHELLS))
    session.output.raw([SHELLS[shell](joined_outline(session.options)).encode()])
