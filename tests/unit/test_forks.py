"""What `tests/support/forks.py` knows of `subprocess` though it is private."""

from __future__ import annotations

import inspect
import subprocess


def test_subprocess_private_names() -> None:
    """The arguments that are taken by their place, and what else is used, are so in this Python."""
    names = list(inspect.signature(subprocess.Popen._execute_child).parameters)  # type: ignore[attr-defined]
    assert names[:2] == ["self", "args"]
    assert names[2:11] == [
        "executable", "preexec_fn", "close_fds", "pass_fds", "cwd", "env", "startupinfo", "creationflags",
        "shell",
    ]  # fmt: skip
    assert names[11:17] == ["p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite"]
    assert names[22] == "start_new_session"
    for name in ("_close_pipe_fds", "_handle_exitstatus", "_try_wait", "_internal_poll"):
        assert callable(getattr(subprocess.Popen, name))
