"""What Python code would do, as far as its text says so: imports and calls, without running any of it."""

from __future__ import annotations

import ast
import sys
import warnings
from collections.abc import Collection, Iterator
from typing import NamedTuple

NETWORK = frozenset({
    "socket", "ssl", "socketserver", "http.client", "http.server", "urllib.request", "ftplib", "smtplib",
    "poplib", "imaplib", "nntplib", "telnetlib", "xmlrpc", "asyncio.open_connection", "asyncio.start_server",
    "requests", "httpx", "aiohttp", "urllib3", "websockets", "paramiko",
})  # fmt: skip
PROCESS = frozenset({
    "subprocess", "multiprocessing", "pty", "os.system", "os.popen", "os.fork", "os.forkpty", "os.execl",
    "os.execle", "os.execlp", "os.execv", "os.execve", "os.execvp", "os.execvpe", "os.posix_spawn",
    "os.posix_spawnp", "os.spawnl", "os.spawnle", "os.spawnlp", "os.spawnv", "os.spawnve", "os.spawnvp",
    "asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell",
})  # fmt: skip
DYNAMIC = frozenset({
    "eval", "exec", "compile", "__import__", "importlib.import_module", "importlib.util", "runpy", "code",
    "pickle.load", "pickle.loads", "marshal.load", "marshal.loads", "shelve", "dill", "cloudpickle",
})  # fmt: skip
NATIVE = frozenset({"ctypes", "cffi"})
_KINDS = {"network": NETWORK, "process": PROCESS, "dynamic": DYNAMIC, "native": NATIVE}
_FAILED_IMPORTS = frozenset({"ImportError", "ModuleNotFoundError", "Exception"})


class Seen(NamedTuple):
    """Something in the code: a rule of the linter, the line, and the name that shows it."""

    rule: str
    line: int
    name: str


def look(source: bytes, shipped: Collection[str]) -> list[Seen]:
    """What the code of a file does, each name once, by line; `shipped` are the modules that come with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [Seen("syntax", getattr(error, "lineno", None) or 1, "")]
    found: dict[tuple[str, str], Seen] = {}
    for line, name, optional, called in sorted(_named(tree)):
        for rule, known in _KINDS.items():
            if name in known if called else _is_one_of(name, known):
                found.setdefault((rule, name), Seen(rule, line, name))
        top = name.partition(".")[0]
        if not called and top not in sys.stdlib_module_names and top not in shipped and not optional:
            found.setdefault(("import", top), Seen("import", line, top))
    return sorted(found.values(), key=lambda one: (one.line, one))


def _is_one_of(name: str, known: Collection[str]) -> bool:
    """Whether a module, or what is taken from one, is among these, or inside of one of them."""
    parts = name.split(".")
    return any(".".join(parts[:count]) in known for count in range(1, len(parts) + 1))


def _named(tree: ast.AST) -> Iterator[tuple[int, str, bool, bool]]:
    """Line and name of everything imported or called; whether its absence is caught; whether it is a call."""
    waiting: list[tuple[ast.AST, bool]] = [(tree, False)]
    while waiting:
        node, optional = waiting.pop()
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name, optional, False) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}", optional, False) for alias in node.names)
        elif isinstance(node, ast.Call) and (name := _dotted(node.func)):
            yield node.lineno, name, optional, True
        for child in ast.iter_child_nodes(node):
            waiting.append((child, optional or (isinstance(node, ast.Try) and _catches_imports(node))))


def _dotted(node: ast.expr) -> str:
    """`os.path.join` of such an expression; empty for any other."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join([node.id, *reversed(parts)]) if isinstance(node, ast.Name) else ""


def _catches_imports(node: ast.Try) -> bool:
    return any(
        handler.type is None or any(isinstance(one, ast.Name) and one.id in _FAILED_IMPORTS
                                    for one in ast.walk(handler.type))
        for handler in node.handlers
    )  # fmt: skip
