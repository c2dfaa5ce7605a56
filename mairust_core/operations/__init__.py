"""An operation is declared once: the local call, the REST route and the remote call come from it.

    class Domains(Service):
        @operation("POST", "/domains", scope=ADMIN, reach=SITE, status=201, errors=(Conflict,))
        def add(self, new: NewDomain) -> Domain:
            '''Add a mail domain.'''

What would make the three differ is refused when the class is made: a body that is not one request
dataclass, a secret outside a body, a method named after a builtin, a missing summary.

declared.py    what a declaration says
declaring.py   how it is read, and refused
calling.py     what every call passes before its method, and its answer after it
cursors.py     where a list goes on
asked.py       what of a call the audit keeps
streams.py     bodies and answers in pieces
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar, cast

from mairust_core.errors import MaiRustError
from mairust_core.model.principal import Principal, ReachKind, Scope
from mairust_core.model.receipt import Receipt
from mairust_core.operations import calling
from mairust_core.operations.calling import require_names, require_text
from mairust_core.operations.declared import ANY, Deprecated, Operation
from mairust_core.operations.declaring import declare
from mairust_core.operations.streams import BytesIn, BytesOut, Item, ItemsIn, ItemsOut, items_of

if TYPE_CHECKING:
    from mairust_core.app import Site

F = TypeVar("F", bound=Callable[..., Any])

__all__ = [
    "ANY", "BytesIn", "BytesOut", "Deprecated", "Item", "ItemsIn", "ItemsOut", "Operation", "Service",
    "items_of", "operation", "require_names", "require_text",
]  # fmt: skip


class Service:
    """The operations of one noun for one caller; cheap, made per call."""

    noun: ClassVar[str]
    operations: ClassVar[dict[str, Operation]]

    receipt: Receipt | None = None
    """What a creating call leaves behind beside its effect, when it may be repeated."""
    made: Callable[[str], Any]
    """What an operation with a body of bytes answered when it made this subject; for nouns that have one."""

    def __init__(self, site: Site, by: Principal) -> None:
        self.site = site
        self.by = by

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        cls.noun = cls.__name__.lower()
        cls.operations = {
            name: declare(cls.noun, name, member)
            for name, member in vars(cls).items()
            if hasattr(member, "__declared__")
        }
        for op in cls.operations.values():
            if op.heeds_key and op.body_type is BytesIn and not hasattr(cls, "made"):
                raise TypeError(f"{op.id}: what it made is told again by a method `made`, and there is none")


def operation(
    method: str,
    path: str,
    *,
    scope: Scope,
    reach: ReachKind = ReachKind.ACCOUNT,
    status: int = 200,
    errors: tuple[type[MaiRustError], ...] = (),
    since: int = 1,
    produces: str = "message/rfc822",
    accepts: tuple[str, ...] = ("message/rfc822",),
    deprecated: Deprecated | None = None,
    encoded: str = "",
) -> Callable[[F], F]:
    """Declare a method of a `Service` as an operation; `reach` is the narrowest one that may call it.

    Where it returns `A | B`, the method gives an A; a caller without `read` is told a B, the fields that the
    two have in common.
    `accepts` are the media types of a body of bytes, first the one that our own clients send. `encoded` names
    a method with the same parameters that gives the answer as JSON values, for lists that are asked for all
    the time.
    """

    def declared(method_: F) -> F:
        signature = inspect.signature(method_)

        @functools.wraps(method_)
        def called(self: Service, *args: Any, **kwargs: Any) -> Any:
            bound = signature.bind(self, *args, **kwargs)
            bound.apply_defaults()
            given = bound.arguments
            del given["self"]
            op: Operation = called.__operation__  # type: ignore[attr-defined]  # put there by `declare`
            return calling.call(op, method_, self, given)

        called.__declared__ = {  # type: ignore[attr-defined]  # read by Service.__init_subclass__ only
            "method": method, "path": path, "scope": scope, "reach": reach,
            "status": status, "errors": errors, "since": since, "produces": produces,
            "accepts": accepts, "deprecated": deprecated, "encoded": encoded,
        }  # fmt: skip
        return cast(F, called)

    return declared
