"""What a client of an older OpenAPI document loses with a newer one (B-12).

A request that was valid must stay valid; an answer must hold what it held. So requests may only widen and
answers may only grow: a new optional parameter or field is fine, a new value in an answer's enumeration too
(clients are told to expect those), everything else is a broken promise.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]


def broken(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    """Every promise of the old document that the new one does not keep, each as one line."""
    return sorted(_Comparison(old, new).paths())


class _Comparison:
    def __init__(self, old: dict[str, Any], new: dict[str, Any]) -> None:
        self._old = old
        self._new = new
        self._under_way: set[tuple[str, str, bool]] = set()

    def paths(self) -> Iterator[str]:
        """The operations, one by one."""
        for path, methods in self._old["paths"].items():
            for method, operation in methods.items():
                where = operation["operationId"]
                found = self._new["paths"].get(path, {}).get(method)
                if found is None:
                    yield f"{where}: {method.upper()} {path} is gone"
                    continue
                if found["operationId"] != where:
                    yield f"{where}: its id is {found['operationId']}"
                yield from self._parameters(where, operation, found)
                yield from self._body(where, operation, found)
                yield from self._answers(where, operation, found)

    def _parameters(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        before, now = (_by_name(one.get("parameters", [])) for one in (old, new))
        for key, parameter in before.items():
            name = f"{where} parameter {key[1]}"
            if key not in now:
                yield f"{name} is gone"
                continue
            yield from self._schema(name, parameter["schema"], now[key]["schema"], request=True)
            if parameter["schema"].get("default") != now[key]["schema"].get("default"):
                yield f"{name} has another default"
        for key, parameter in now.items():
            required = parameter.get("required", False)
            if required and not before.get(key, {}).get("required", False):
                yield f"{where} parameter {key[1]} is required now"

    def _body(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        before, now = (one.get("requestBody", {"content": {}}) for one in (old, new))
        if now.get("required", False) and not before.get("required", False):
            yield f"{where}: a body is required now"
        for media_type, content in before["content"].items():
            if media_type not in now["content"]:
                yield f"{where}: {media_type} is no longer taken"
                continue
            found = now["content"][media_type]
            yield from self._schema(f"{where} body", content["schema"], found["schema"], request=True)

    def _answers(self, where: str, old: Schema, new: Schema) -> Iterator[str]:
        for status, answer in old["responses"].items():
            found = new["responses"].get(status)
            if found is None:
                if status.startswith("2"):
                    yield f"{where}: {status} is no longer answered"
                continue
            for header, said in answer.get("headers", {}).items():
                if said.get("required") and not found.get("headers", {}).get(header, {}).get("required"):
                    yield f"{where} {status}: the header {header} is no longer certain"
            for media_type, content in answer.get("content", {}).items():
                if media_type not in found.get("content", {}):
                    yield f"{where} {status}: it is no longer {media_type}"
                    continue
                now = found["content"][media_type]
                yield from self._schema(f"{where} {status}", content["schema"], now["schema"], request=False)

    def _schema(self, where: str, old: Schema, new: Schema, *, request: bool) -> Iterator[str]:
        names = (old.get("$ref", ""), new.get("$ref", ""), request)
        if names[0] and names[1]:
            if names in self._under_way:
                return
            self._under_way.add(names)
        before, now = self._kinds(self._old, old), self._kinds(self._new, new)
        wide, narrow = (now, before) if request else (before, now)
        for kind in narrow.keys() - wide.keys():
            yield f"{where}: {kind} {'is no longer taken' if request else 'may come now'}"
        for kind in before.keys() & now.keys():
            yield from self._kind(where, before[kind], now[kind], request=request)

    def _kinds(self, document: dict[str, Any], schema: Schema) -> dict[str, Schema]:
        """The alternatives of a schema, by type and format."""
        if "$ref" in schema:
            name = schema["$ref"].rpartition("/")[2]
            return self._kinds(document, document["components"]["schemas"][name])
        alternatives = schema.get("anyOf")
        if alternatives is None:
            return {f"{schema.get('type', 'anything')} {schema.get('format', '')}".strip(): schema}
        return {kind: one for part in alternatives for kind, one in self._kinds(document, part).items()}

    def _kind(self, where: str, old: Schema, new: Schema, *, request: bool) -> Iterator[str]:
        yield from _values(where, old, new, request=request)
        if "items" in old:
            yield from self._schema(f"{where}[]", old["items"], new.get("items", {}), request=request)
        if "prefixItems" in old and len(old["prefixItems"]) != len(new.get("prefixItems", [])):
            yield f"{where}: it has another number of items"
        before, now = old.get("properties", {}), new.get("properties", {})
        for name, schema in before.items():
            if name not in now:
                yield f"{where}.{name} is gone"
            else:
                yield from self._schema(f"{where}.{name}", schema, now[name], request=request)
        certain, certain_now = set(old.get("required", ())), set(new.get("required", ()))
        if request:
            yield from (f"{where}.{name} is required now" for name in certain_now - certain)
        else:
            yield from (
                f"{where}.{name} is no longer certain" for name in (certain & now.keys()) - certain_now
            )


def _values(where: str, old: Schema, new: Schema, *, request: bool) -> Iterator[str]:
    """Enumerations and patterns of a request, which may only grow."""
    if not request:
        return
    for value in old.get("enum", ()):
        if value not in new.get("enum", ()):
            yield f"{where}: {value!r} is no longer taken"
    for bound in ("enum", "pattern", "maxLength", "minLength", "maximum", "minimum"):
        if bound in new and bound not in old:
            yield f"{where}: there is a {bound} now"
        elif bound != "enum" and bound in old and new.get(bound, old[bound]) != old[bound]:
            yield f"{where}: the {bound} is another"


def _by_name(parameters: list[Schema]) -> dict[tuple[str, str], Schema]:
    return {(one["in"], one["name"]): one for one in parameters}
