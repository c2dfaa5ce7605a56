"""Every benchmark, or those named: ``python -m tests.benchmarks [NAME…]``, as ``ingest startup``."""

from __future__ import annotations

import sys

from tests.benchmarks import (
    backup,
    hooks,
    importing,
    ingest,
    installing,
    jobs,
    latency,
    leaders,
    memory,
    pages,
    rest,
    sandbox,
    search,
    startup,
)

ALL = {
    "backup": backup.main,
    "hooks": hooks.main,
    "import": importing.main,
    "ingest": ingest.main,
    "installing": installing.main,
    "jobs": jobs.main,
    "latency": latency.main,
    "leaders": leaders.main,
    "memory": memory.main,
    "pages": pages.main,
    "rest": rest.main,
    "sandbox": sandbox.main,
    "search": search.main,
    "startup": startup.main,
}


def main(names: list[str]) -> int:
    """Run the named benchmarks one after the other; 1 when any goal is missed, 2 on an unknown name."""
    unknown = [name for name in names if name not in ALL]
    if unknown:
        print(f"no benchmark {', '.join(unknown)}: there are {', '.join(ALL)}", file=sys.stderr)
        return 2
    failed = 0
    for name in names or ALL:
        print(f"\n== {name}", flush=True)
        failed |= ALL[name]([])
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
