"""One run of the command line: arguments to exit code, and the one place that turns errors into exits."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from mairust_cli.entry import INTERRUPTED
from mairust_cli.options import Options
from mairust_cli.output import Output, lead_nowhere
from mairust_cli.session import language
from mairust_cli.tree import root
from mairust_cli.usage import explained
from mairust_core.errors import MaiRustError, Usage

FAILED = 1
BROKEN_PIPE = 141  # as a shell reports a program that SIGPIPE ended


def run(args: Sequence[str]) -> int:
    """Run a command; the exit code of contract §1.

    Results are on stdout; an error is one line on stderr, or with `--json` the one document of stdout.
    """
    options = Options(words=tuple(args))
    try:
        code = _outcome(options)
        sys.stdout.flush()
    except BrokenPipeError:
        lead_nowhere(sys.stdout)
        return BROKEN_PIPE
    except OSError as error:
        _report(MaiRustError("output", why=error.strerror), error, options)
        return FAILED
    return code


def _outcome(options: Options) -> int:
    try:
        return _invoke(options)
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except BrokenPipeError:
        raise
    except MaiRustError as error:
        _report(error, error, options)
        return error.exit_code
    except Exception as error:
        from mairust_core.shortage import shortage

        if lacking := shortage(error):
            _report(lacking, error, options)
            return lacking.exit_code
        why = f"{type(error).__name__}: {error}".rstrip(": ")
        _report(MaiRustError("internal", why=why), error, options)
        return FAILED


def _invoke(options: Options) -> int:
    command = root()
    try:
        with command.make_context("mairust", list(options.words), obj=options) as ctx:
            command.invoke(ctx)
    except typer.Exit as done:
        return done.exit_code
    except SystemExit as done:
        return done.code if isinstance(done.code, int) else FAILED
    except typer.TyperException as error:
        raise explained(error) from error
    return 0


def _report(error: MaiRustError, cause: Exception, options: Options) -> None:
    output = Output(stdout=sys.stdout, stderr=sys.stderr, env=os.environ)
    output.json = options.json or "--json" in options.given  # parsing may have ended before these
    options.look_for_language()
    try:
        output.lang = language(options, os.environ)
    except Usage:
        output.lang = "en"
    if options.verbose or "--verbose" in options.given:
        import traceback

        traceback.print_exception(cause, file=sys.stderr)
    if error.detail != "output":
        try:
            output.error(error)
        except MaiRustError as unwritten:
            error = unwritten
        else:
            return
    lead_nowhere(sys.stdout)
    output.json = False
    output.error(error)
