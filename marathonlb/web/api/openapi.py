"""
The API document in OpenAPI 3.1, made from the table of routes and the types of the answers.

``docs/openapi.json`` is a copy of it; a test validates real answers against it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from inspect import cleandoc
from typing import Any

import msgspec

from marathonlb.web.page import JSON, Answer, ClientRequest, ErrorAnswer, Page, Parameter, data
from marathonlb.web.router import Route

VERSION = "2.0"
"""Version of the API, which is independent of the version of the program."""

_REFERENCE = "#/components/schemas/{name}"

_COMPONENT_NAMES = {"ErrorAnswer": "Problem"}
"""Classes whose component in the document keeps another name: the names are part of the API."""

DESCRIPTION = """\
The state of the controller as data, at the address of `--bind-stats`. Names of fields are stable: new ones may be
added, none is removed or changes its meaning without a note in the changelog. Times are seconds since the epoch.

Requests that change something, or are expensive, are for clients in `--admin-allow` and those with the
`--admin-token`; pages of other sites may not send them. A wrong token is answered by 401 on every path.
"""


def openapi(routes: Iterable[Route]) -> dict[str, Any]:
    """Return the document for these routes."""
    table = tuple(routes)
    shapes = [route.page.shape for route in table if route.page.shape is not None]
    schemas, components = _renamed(
        *msgspec.json.schema_components([*shapes, ErrorAnswer], ref_template=_REFERENCE)
    )
    by_shape = dict(zip(map(id, [*shapes, ErrorAnswer]), schemas, strict=True))
    paths: dict[str, Any] = {}
    for route in table:
        page = route.page
        for method in filter(None, (page.method, page.also)):
            operation = _operation(route, method, by_shape)
            paths.setdefault(route.path, {})[method.lower()] = operation
    for schema in components.values():
        _tidy(schema)
    return {
        "openapi": "3.1.0",
        "info": {"title": "marathon-lb", "version": VERSION, "description": DESCRIPTION},
        "paths": paths,
        "components": {
            "schemas": dict(sorted(components.items())),
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _renamed(
    schemas: Iterable[dict[str, Any]], components: dict[str, dict[str, Any]]
) -> tuple[list[dict[str, Any]], dict[str, dict[str, Any]]]:
    """Return schemas and components with the names of `_COMPONENT_NAMES`; no component refers to those."""
    names = {
        _REFERENCE.format(name=old): _REFERENCE.format(name=new) for old, new in _COMPONENT_NAMES.items()
    }
    references = [{**schema, "$ref": names.get(schema["$ref"], schema["$ref"])} for schema in schemas]
    for name in _COMPONENT_NAMES.keys() & components.keys():
        components[name]["title"] = _COMPONENT_NAMES[name]
    return references, {_COMPONENT_NAMES.get(name, name): schema for name, schema in components.items()}


def _operation(route: Route, method: str, by_shape: dict[int, dict[str, Any]]) -> dict[str, Any]:
    page = route.page
    good: dict[str, Any] = {"type": "string"} if page.shape is None else by_shape[id(page.shape)]
    error = {JSON: {"schema": by_shape[id(ErrorAnswer)]}} if route.path.startswith("/api/") else None
    responses: dict[str, Any] = {
        "200": {
            "description": page.summary,
            "content": {page.content_type.partition(";")[0]: {"schema": good}},
        }
    }
    for status, description in page.statuses:
        responses[str(status)] = {"description": description}
        if page.shape is not None and status == 503 and route.path.endswith("/ready"):
            responses[str(status)]["content"] = {JSON: {"schema": good}}
        elif error is not None:
            responses[str(status)]["content"] = error
    operation: dict[str, Any] = {"summary": page.summary, "operationId": _name(route.path, method)}
    if page.parameters:
        operation["parameters"] = [_parameter(each) for each in page.parameters]
    if page.takes:
        schema = {"type": "object", "description": page.takes}
        operation["requestBody"] = {"required": True, "content": {JSON: {"schema": schema}}}
    if page.changes:
        operation["description"] = "For clients in `--admin-allow`, and those with the `--admin-token`."
        operation["security"] = [{"token": []}, {}]
    return {**operation, "responses": responses}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "required": parameter.required,
        "description": parameter.help,
        "schema": {"type": parameter.kind},
    }


def _name(path: str, method: str) -> str:
    words = re.findall(r"[A-Za-z0-9]+", path.removeprefix("/api/")) or ["front", "page"]
    return method.lower() + "".join(word.capitalize() for word in words)


def _tidy(schema: dict[str, Any]) -> None:
    """Move each ``:param x:`` of a docstring to the property ``x``."""
    text = schema.get("description", "")
    head, *params = re.split(r"^:param (\w+):", cleandoc(text), flags=re.MULTILINE)
    if head.strip():
        schema["description"] = " ".join(head.split())
    properties = schema.get("properties", {})
    for name, description in zip(params[::2], params[1::2], strict=True):
        if name in properties:
            properties[name]["description"] = " ".join(description.split())


class OpenAPIPage(Page):
    """The API document."""

    summary = "This document (OpenAPI 3.1)"

    def __init__(self, routes: Callable[[], Iterable[Route]]) -> None:
        self._routes = routes

    async def answer(self, request: ClientRequest) -> Answer:
        """Return the document."""
        return data(openapi(self._routes()))
