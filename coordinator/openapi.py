"""`GET /openapi.json`: the API described from the calls and the types that serve it.

Nothing is written down twice: paths, parameters, bodies and answers come from the `Call` rows, shapes from the types
that decode and encode. It is made when somebody first asks: few nodes are ever asked, and all would start later for it.
Knows nothing of what a call does.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any

import msgspec
from aiohttp import web

from coordinator.calls import JSON, Call, Content, Parameter
from coordinator.errors import ErrorBody
from coordinator.made_once import MadeOnce
from coordinator.sessions import COOKIE
from coordinator.telling_time import TIME
from licensing.canonical import encode

Document = dict[str, Any]

DOCUMENT = web.AppKey("openapi", MadeOnce)

_REFUSALS = {
    400: "A parameter or the body is not what the call takes.",
    401: "The call carries no token that is known, or its session has ended.",
    403: "The token lacks the scope, or a page of another site made the call.",
    404: "What the call names is not here.",
    408: "The body did not arrive in time.",
    409: "It does not fit what is installed, or how the site is just now.",
    413: "The body is too large.",
    415: "The body has a Content-Encoding.",
    422: "The licence cannot be accepted.",
    429: "The token has asked too often, or the address given too many wrong tokens, in the last minute.",
    500: "The call failed here; the log of the node says more.",
    503: "It cannot be told or done just now; ask again.",
}
_TIME = {
    TIME: {
        "description": "Effective time, in which everything happens that the API tells of.",
        "schema": {"type": "string", "format": "date-time"},
    }
}
_RETRY = {"Retry-After": {"description": "After how many seconds to ask again.", "schema": {"type": "integer"}}}
_CHALLENGE = {"WWW-Authenticate": {"description": "How to send a token.", "schema": {"type": "string"}}}
_HEADERS = {401: _CHALLENGE, 429: _RETRY, 503: _RETRY}
_ANSWERS = {
    200: "The answer.",
    202: "The order was accepted and its outcome is not known yet.",
    204: "It is done.",
    304: "Nothing is new.",
    503: "Not now.",
}

_GUARDED = (401, 403, 429)
_READS_PARAMETERS = (400,)
_READS_A_BODY = (400, 408, 413, 415)
_ALWAYS = (500,)


async def serve(request: web.Request) -> web.Response:
    """`GET /openapi.json`."""
    return web.Response(body=await request.app[DOCUMENT].get(), content_type=JSON)


def document(calls: Iterable[Call], prefixes: Iterable[str], root_calls: Iterable[Call] = ()) -> bytes:
    """Return the OpenAPI 3.1 document of these calls in JSON: `calls` are under each of `prefixes`."""
    schemas = _Schemas()
    error = schemas.of(ErrorBody)
    paths: dict[str, Document] = {}
    for call in calls:
        paths.setdefault(call.path, {})[call.method.lower()] = _operation(call, schemas)
    for call in root_calls:
        paths[call.path] = {"servers": [{"url": "/"}], call.method.lower(): _operation(call, schemas)}
    return encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Twinkey",
                "version": version("twinkey"),
                "description": "The licence state of a two-node virtualisation platform. Both prefixes serve the same.",
            },
            "servers": [{"url": prefix} for prefix in prefixes],
            "paths": paths,
            "components": {
                "schemas": schemas.components,
                "responses": {_refusal_name(status): _refusal(status, error) for status in _REFUSALS},
                "securitySchemes": {"token": _TOKEN, "session": _SESSION},
            },
        }
    )


_TOKEN = {
    "type": "http",
    "scheme": "bearer",
    "description": "A token of the tokens file; `OAuth` in place of `Bearer`, as the platform's clients say, means the "
    "same. The role is the scope that the token must have: read, usage or admin.",
}
_SESSION = {
    "type": "apiKey",
    "in": "cookie",
    "name": COOKIE,
    "description": "What a browser is given for a token by `POST /session`. With it, what changes something must come "
    "from a page of the node itself. An Authorization header wins.",
}


class _Schemas:
    """The schemas of types, each described once."""

    def __init__(self) -> None:
        self.components: dict[str, Document] = {}

    def of(self, kind: Any) -> Document:
        """Return the schema of a type, which refers to those it is made of."""
        (schema,), parts = msgspec.json.schema_components((kind,), ref_template="#/components/schemas/{name}")
        for name, part in parts.items():
            told = _told(part)
            if self.components.setdefault(name, told) != told:
                raise ValueError(f"Two types of the API are called {name}: rename one.")
        return schema

    def content(self, content: Content) -> Document:
        """Return bodies by media type; what is not text or JSON has no schema."""
        return {media: {} if kind is bytes else {"schema": self.of(kind)} for media, kind in content.items()}


def _told(part: Document) -> Document:
    """Return a schema with its type's docstring for readers who do not know Python."""
    if "description" not in part:
        return part
    text = inspect.cleandoc(part["description"]).partition("\n\nRaises:")[0]
    return part | {"description": re.sub(r"\bNone\b", "null", text)}


def _operation(call: Call, schemas: _Schemas) -> Document:
    answers = {str(status): _refused(status) for status in _refusals(call)}
    answers |= {str(status): _answer(status, content, schemas) for status, content in call.gives.items()}
    operation = {
        "operationId": "_".join((call.method.lower(), *re.findall(r"[a-z]+", call.path))),
        "summary": call.summary,
        "parameters": [_parameter(parameter, schemas) for parameter in call.parameters],
        "responses": answers,
        "security": _security(call),
    }
    if call.takes:
        operation["requestBody"] = {"required": True, "content": schemas.content(call.takes)}
    return operation


def _security(call: Call) -> list[Document]:
    """Return what the call may carry, one of several, with the scope that its token must have."""
    roles = [] if call.scope in {None, "any"} else [call.scope]
    return [{"token": roles}, {"session": roles}] if call.scope else []


def _refusals(call: Call) -> set[int]:
    """Return every status with which a call may be refused."""
    return {
        *_ALWAYS,
        *(_GUARDED if call.scope else ()),
        *(_READS_PARAMETERS if any(parameter.place == "query" for parameter in call.parameters) else ()),
        *(_READS_A_BODY if call.takes else ()),
        *call.refuses,
    }


def _parameter(parameter: Parameter, schemas: _Schemas) -> Document:
    return {
        "name": parameter.name,
        "in": parameter.place,
        "description": parameter.text,
        "required": parameter.required,
        "schema": schemas.of(parameter.kind),
    }


def _answer(status: int, content: Content, schemas: _Schemas) -> Document:
    body = {"content": schemas.content(content)} if content else {}
    return {"description": _ANSWERS[status], "headers": _TIME, **body}


def _refused(status: int) -> Document:
    return {"$ref": f"#/components/responses/{_refusal_name(status)}"}


def _refusal(status: int, error: Document) -> Document:
    headers = _TIME | _HEADERS.get(status, {})
    return {"description": _REFUSALS[status], "headers": headers, "content": {JSON: {"schema": error}}}


def _refusal_name(status: int) -> str:
    return f"Refused{status}"
