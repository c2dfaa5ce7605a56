"""What of the file system an interpreter needs to run: nothing else of it is there for a plugin."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SYSTEM = ("/usr",)
LINKED_SYSTEM = ("/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32")
"""Links into /usr today, directories of their own on older systems."""
FILES = (
    "/etc/alternatives",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/pki/tls/certs",
    "/etc/pki/ca-trust/extracted",
)
"""Of /etc: which program a name means, where libraries lie, the time zone, whom TLS trusts."""
NETWORK_FILES = ("/etc/hosts", "/etc/nsswitch.conf", "/etc/resolv.conf")
"""How names are resolved, for those whose network is not limited."""
DEVICES = ("/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero")

LAUNCHER = Path(__file__).with_name("launch.py")
RELAY = Path(__file__).with_name("relay.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """The Python that launches plugins, and that they find as `python3`."""

    program: Path
    prefix: Path

    @property
    def path(self) -> str:
        """The search path of a plugin's commands."""
        return ":".join(dict.fromkeys([f"{self.prefix}/bin", "/usr/local/bin", "/usr/bin", "/bin"]))

    @property
    def parts(self) -> tuple[Path, ...]:
        """What of its prefix it needs: all else there is somebody else's, in a home for example."""
        found = (self.prefix / name for name in ("bin", "lib", "lib64"))
        return tuple(path for path in found if path.is_dir())


def interpreter() -> Interpreter:
    """The one that runs MaiRust, not its virtual environment: plugins have no business there."""
    program: str = getattr(sys, "_base_executable", "") or sys.executable
    return Interpreter(program=Path(program).resolve(), prefix=Path(sys.base_prefix).resolve())


def is_below(path: Path, roots: Iterable[str | Path]) -> bool:
    """Whether a path is one of these, or inside of one."""
    return any(path == Path(root) or Path(root) in path.parents for root in roots)
