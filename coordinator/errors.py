"""Errors as answers: one shape for every refusal, with what to do next."""

from __future__ import annotations

from aiohttp import web

from licensing.canonical import encode
from licensing.value import Value


class ErrorDetail(Value, frozen=True):
    """What went wrong: a stable code, a sentence, the particulars, and what to do."""

    code: str
    description: str
    details: str
    hint: str


class ErrorBody(Value, frozen=True):
    """The body of every refusal."""

    error: ErrorDetail


class ApiError(Exception):
    """A refusal with its HTTP status; `headers` for those that need some (Retry-After, WWW-Authenticate)."""

    def __init__(
        self,
        http: int,
        code: str,
        description: str,
        *,
        hint: str,
        details: str = "",
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(description)
        self.http = http
        self.detail = ErrorDetail(code, description, details, hint)
        self.headers = headers or {}

    def response(self) -> web.Response:
        """Return the refusal as an HTTP answer."""
        return web.Response(
            status=self.http,
            body=encode(ErrorBody(self.detail)),
            content_type="application/json",
            headers=self.headers,
        )


def plain_refusal(error: web.HTTPException) -> ApiError:
    """What aiohttp refuses by itself."""
    hints = {404: "Check the path of the call.", 405: f"Use {error.headers.get('Allow', 'another method')}."}
    allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
    code = error.reason.lower().replace(" ", "-")
    return ApiError(
        error.status, code, f"{error.reason}.", hint=hints.get(error.status, "Correct the call."), headers=allow
    )


def not_ready() -> ApiError:
    """Nothing was published yet, or this node has not seen it yet."""
    return ApiError(
        503,
        "not-ready",
        "This node has not seen a published licence status yet.",
        hint="Ask again in a moment; if it stays so, check etcd and that a coordinator leads.",
        headers={"Retry-After": "1"},
    )


def not_known(so: str) -> ApiError:
    """What is stored cannot be used, such as by an older version; `so` says what cannot be done therefore."""
    return ApiError(
        503,
        "not-known",
        f"What is stored of this site cannot be used just now, so {so}.",
        hint="See the reasons in GET /v1/status, and ask again when they are gone.",
        headers={"Retry-After": "2"},
    )


def bad_parameter(name: str, given: str, allowed: str) -> ApiError:
    """A query parameter that is not what it must be."""
    return ApiError(
        400, "bad-parameter", f"{name}={given!r} is not allowed.", hint=f"{name} must be {allowed}.", details=name
    )
