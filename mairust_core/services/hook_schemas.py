"""What hooks are asked and may answer, for authors of plugins."""

from __future__ import annotations

from mairust_core.model.hook_schema import HookSchemas
from mairust_core.model.principal import Scope
from mairust_core.operations import Service, operation


class Schemas(Service):
    """The form of the documents that plugins and this server exchange."""

    @operation("GET", "/schemas/hooks", scope=Scope.READ)
    def hooks(self) -> HookSchemas:
        """Give the JSON Schemas of what a hook is asked and of what it may answer."""
        return self.site.hook_schemas()
