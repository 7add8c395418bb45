"""The OpenAPI 3.1 document of the admin API, made from its operations.

`python -m ekiden.web.admin.openapi` prints it; docs/openapi.json is that, and a test compares.
"""

import sys
from collections.abc import Iterable, Mapping
from typing import Any, Final

import msgspec

from ekiden.control.requests import Listing
from ekiden.events.model import Event
from ekiden.web.admin.eventlog import EventsWanted
from ekiden.web.admin.operations import OPERATIONS, Operation
from ekiden.web.admin.submissions import KINDS, SubmissionView

_REF: Final = "#/components/schemas/{name}"
_GROUPS: Final = {
    "submission": "Jobs go in.",
    "status": "The whole in a few figures.",
    "jobs": "What was submitted, and how far it is.",
    "queue": "What waits, and why.",
    "suppressions": "Who is not mailed.",
    "reputation": "Rates by scope, and what is stopped.",
    "warm-up": "New sources and how far they are, and hours.",
    "events": "What happened.",
    "lists": "Contact lists and their topics.",
    "contacts": "People on lists.",
    "identities": "The senders that are yours.",
    "templates": "Stored templates.",
    "tokens": "Who may ask.",
    "machine": "For monitoring.",
}
_PROBLEM: Final = {
    "type": "object",
    "description": "RFC 9457.",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string", "description": "What is wrong."},
        "status": {"type": "integer"},
        "where": {"type": "string", "description": "The field, file or row."},
        "remedy": {"type": "string", "description": "What to do."},
    },
    "required": ["type", "title", "status"],
}
_ERRORS: Final = {
    "400": "The fields are wrong.",
    "401": "There is no token, or it does not work.",
    "403": "The token has not the scope.",
    "404": "There is no such thing.",
    "409": "It cannot be done in this state.",
    "429": "Too many requests.",
    "503": "Not available now; try again.",
}


def document(version: str) -> dict[str, Any]:
    """Return the document.

    Args:
        version: The program's.
    """
    schemas, components = _schemas()
    components["Problem"] = _PROBLEM
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(f"/v1{one.path}", {})[one.verb.lower()] = _operation(
            one, schemas, components
        )
    paths.setdefault("/v1/jobs", {})["post"] = _submit()
    paths["/v1/submissions/{name}"] = {"get": _submission()}
    paths["/v1/events"] = {"get": _events(components.pop(EventsWanted.__name__))}
    paths["/v1/openapi.json"] = {"get": _plain("This document.", "application/json")}
    paths["/health"] = {"get": _plain("Whether all is well.", "application/json")}
    paths["/health"]["get"]["responses"]["503"] = {"description": "Something is not."}
    metrics = _plain("Everything that is measured, for Prometheus.", "text/plain")
    paths["/metrics"] = {"get": {**metrics, **_needs("read")}}
    asked = {one.request.__name__ for one in OPERATIONS}
    whole = {
        "openapi": "3.1.0",
        "info": {
            "title": "Ekiden admin API",
            "version": version,
            "summary": "What the commands say, over HTTP.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "tags": [{"name": name, "description": text} for name, text in _GROUPS.items()],
        "paths": paths,
        "components": {
            "schemas": {
                name: schema
                for name, schema in sorted(components.items())
                if name not in asked  # they are taken apart into parameters and bodies
            },
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "A token of `ekiden tokens add`; x-scope says what it needs.",
                }
            },
        },
    }
    plain: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(whole))
    return plain


def _schemas() -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    kinds: list[Any] = [SubmissionView, Event, EventsWanted]
    for one in OPERATIONS:
        kinds += [one.request, one.request.answer_type()]
    unique: list[Any] = []
    for kind in kinds:
        if kind not in unique:
            unique.append(kind)
    schemas, components = msgspec.json.schema_components(unique, ref_template=_REF)
    return {repr(kind): schema for kind, schema in zip(unique, schemas, strict=True)}, components


def _operation(
    one: Operation, schemas: Mapping[Any, dict[str, Any]], components: Mapping[str, Any]
) -> dict[str, Any]:
    asked = components[one.request.__name__]
    properties: dict[str, Any] = asked.get("properties", {})
    required = set(asked.get("required", ()))
    told = schemas[repr(one.request.answer_type())]
    content = {"application/json": {"schema": told}}
    if issubclass(one.request, Listing):
        items = {"type": "object", "properties": {"items": {"type": "array", "items": told}}}
        content = {
            "application/json": {"schema": {**items, "required": ["items"]}},
            "application/x-ndjson": {"schema": told},
        }
    found: dict[str, Any] = {
        "operationId": f"{one.verb.lower()}_{one.request.method}".replace(".", "_"),
        "summary": one.summary,
        "tags": [one.group],
        **_needs(str(one.scope)),
        "responses": {"200": {"description": "As asked.", "content": content}, **_errors()},
    }
    rest = {name: schema for name, schema in properties.items() if name not in one.in_path}
    parameters = [_parameter(name, "path", properties[name]) for name in one.in_path]
    if not one.has_body:
        parameters += [_parameter(name, "query", rest[name], name in required) for name in rest]
    elif rest:
        needed = sorted(required - set(one.in_path))
        schema = {"type": "object", "properties": rest, "additionalProperties": False}
        if needed:
            schema["required"] = needed
        found["requestBody"] = {
            "required": bool(needed),
            "content": {"application/json": {"schema": schema}},
        }
    if parameters:
        found["parameters"] = parameters
    return found


def _parameter(
    name: str,
    place: str,
    schema: Mapping[str, Any],
    required: bool = True,  # noqa: FBT001, FBT002 - a flag of the document
) -> dict[str, Any]:
    found = {"name": name, "in": place, "required": required, "schema": dict(schema)}
    if schema.get("type") == "array":
        found |= {"style": "form", "explode": True}
    return found


def _needs(scope: str) -> dict[str, Any]:
    return {"security": [{"token": []}], "x-scope": scope}


def _errors(numbers: Iterable[str] = _ERRORS) -> dict[str, Any]:
    content = {"application/problem+json": {"schema": {"$ref": _REF.format(name="Problem")}}}
    return {one: {"description": _ERRORS[one], "content": content} for one in numbers}


def _submission_content() -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": _REF.format(name="SubmissionView")}}}


def _submit() -> dict[str, Any]:
    body = {"type": "string", "format": "binary"}
    job = {"type": "object", "description": "The keys of a job, as in NAME.json (docs/spool.md)."}
    return {
        "operationId": "post_job",
        "summary": "Submit a job; it is on the disk before it is answered.",
        "tags": ["submission"],
        **_needs("submit"),
        "parameters": [
            {
                "name": "Idempotency-Key",
                "in": "header",
                "required": False,
                "description": "The same key with the same body is the same job.",
                "schema": {"type": "string", "maxLength": 255},
            },
            {
                "name": "Prefer",
                "in": "header",
                "required": False,
                "description": "wait=SECONDS: how long the answer waits for intake (RFC 7240).",
                "schema": {"type": "string"},
            },
        ],
        "requestBody": {
            "required": True,
            "content": {
                kind: {"schema": job if kind == "application/json" else body} for kind in KINDS
            },
        },
        "responses": {
            "202": {
                "description": "Taken: accepted, or waiting for intake.",
                "content": _submission_content(),
            },
            "413": {"description": "Larger than 64 MiB."},
            "415": {"description": "None of the shapes that are taken."},
            "422": {
                "description": "Refused by intake, or the key was used with another body.",
                "content": _submission_content(),
            },
            **_errors(("400", "401", "403", "409", "429", "503")),
        },
    }


def _submission() -> dict[str, Any]:
    return {
        "operationId": "get_submission",
        "summary": "What became of a submission.",
        "tags": ["submission"],
        **_needs("submit"),
        "parameters": [_parameter("name", "path", {"type": "string"})],
        "responses": {
            "200": {"description": "As asked.", "content": _submission_content()},
            **_errors(("401", "403", "404", "429", "503")),
        },
    }


def _events(wanted: Mapping[str, Any]) -> dict[str, Any]:
    event = {"$ref": _REF.format(name=Event.__name__)}
    items = {"type": "object", "properties": {"items": {"type": "array", "items": event}}}
    content = {"application/json": {"schema": {**items, "required": ["items"]}}}
    return {
        "operationId": "get_events",
        "summary": "The newest events of the log's current file, the oldest of them first.",
        "tags": ["events"],
        **_needs("read"),
        "parameters": [
            _parameter(name, "query", schema, required=False)
            for name, schema in wanted["properties"].items()
        ],
        "responses": {
            "200": {"description": "As asked.", "content": content},
            **_errors(("400", "401", "403", "429", "503")),
        },
    }


def _plain(summary: str, kind: str) -> dict[str, Any]:
    name = summary.lower().split()[0]
    return {
        "operationId": {"this": "get_document", "whether": "get_health"}.get(name, "get_metrics"),
        "summary": summary,
        "tags": ["machine"],
        "security": [],
        "responses": {"200": {"description": "As asked.", "content": {kind: {}}}},
    }


def text(version: str) -> bytes:
    """Return the document as indented JSON."""
    return msgspec.json.format(msgspec.json.encode(document(version)), indent=2) + b"\n"


if __name__ == "__main__":
    from ekiden import __version__

    sys.stdout.write(text(__version__).decode())
