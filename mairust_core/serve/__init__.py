"""Running a site: sockets first, then one worker here, or several under a supervisor.

sockets.py     every listener's socket, bound before privileges are dropped
joining.py     extensions: loaded and registered before any worker starts
powers.py      what is given up once they are bound
worker.py      one process: the road, its listeners, HTTP, and what is done every so often
committing.py  the process beside each worker that commits its mail
working.py     the process beside the first worker that runs the jobs
children.py    how such a process begins, and ends with its worker
supervisor.py  several workers that share the sockets; a crashed one is replaced
notify.py      what systemd wants to hear
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from mairust_core import __version__
from mairust_core.config import Settings
from mairust_core.ids import now_ms
from mairust_core.running import Presence, Running, presence

Announce = Callable[[dict[str, Any]], None]


def serve(settings: Settings, announce: Announce, os_user: str) -> int:
    """Run the server until SIGTERM or SIGINT; returns the exit code.

    Creates the site when there is none (contract §2). `announce` is called once, when every listener is bound
    and takes connections, with `{"event": "ready", "smtp": …, "lmtp": …, "http": …, "pid": …}`.
    Raises the errors of `create_site`, `Locked` while another server runs on the data directory, and `Locked`
    or `BadConfig` for a listener that cannot be bound.
    """
    from mairust_core.first_run import create_site, enter_data_dir
    from mairust_core.i18n import load_errors
    from mairust_core.observe.counters import Counters
    from mairust_core.observe.logs import set_up
    from mairust_core.plugins.sockets import make_socket_dir
    from mairust_core.sandbox import noted
    from mairust_core.sandbox.delegation import settle
    from mairust_core.serve.joining import join_extensions
    from mairust_core.serve.powers import give_up_powers
    from mairust_core.serve.sockets import bind_all
    from mairust_core.serve.supervisor import supervise
    from mairust_core.serve.worker import run

    set_up(settings.telemetry.log_level, settings.telemetry.log_format)
    load_errors()
    workers = settings.node.workers
    settle()
    with bind_all(settings) as sockets:
        enter_data_dir(settings)
        give_up_powers()
        with presence(settings.data_dir) as here:
            noted.forget(settings.data_dir)
            create_site(settings, os_user)
            make_socket_dir(settings.plugins.socket_dir)
            join_extensions(settings, os_user)
            sockets.bind_private(settings.data_dir)
            ready = partial(_ready, announce, here, sockets.addresses, workers)
            if workers == 1:
                return run(settings, sockets.of_worker(0), ready, Counters.alone())
            return supervise(settings, sockets, ready)


def _ready(announce: Announce, here: Presence, addresses: dict[str, str], workers: int) -> None:
    import os

    from mairust_core.serve.notify import notify

    pid = os.getpid()
    here.say(Running(pid=pid, version=__version__, started_ms=now_ms(), workers=workers, listeners=addresses))
    announce({"event": "ready", **addresses, "pid": pid})
    notify("READY=1")
