"""Verdicts on what the platform asks, worked out once for each question as long as the site's status stays the same.

The platform asks the same few questions again and again. A verdict follows from the question and the status alone, so
one that was worked out stays right until the board shows another answer, and then all of them are forgotten.
"""

from __future__ import annotations

from msgspec.structs import asdict

from coordinator.answers import Told, told
from coordinator.board import Answer, StatusBody
from coordinator.bodies import decode_body
from coordinator.errors import ApiError
from licensing.canonical import encode
from licensing.operations import BadOperation, Delta, OperationName, authorize
from licensing.policy import Policy
from licensing.value import Value

MOST_REMEMBERED = 1000
LONGEST_REMEMBERED = 512
"""Bytes of a question; a longer one is worked out every time."""


class Question(Value, frozen=True):
    """An operation, `resource.verb`, and by how much it would change usage."""

    operation: OperationName
    delta: Delta | None = None


class VerdictAnswer(Told, frozen=True, kw_only=True):
    """Whether the operation is allowed: see `licensing.operations.Verdict`."""

    allowed: bool
    reason: str
    hint: str
    unit: str | None
    code: str | None


class Verdicts:
    """Answers questions by a site's status, and remembers the answers to the status that was asked of last."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._shown: Answer | None = None
        self._remembered: dict[bytes, tuple[bool, bytes]] = {}

    def of(self, shown: Answer, question: bytes) -> tuple[bool, bytes]:
        """Return whether what a body asks for is allowed, and the body that says so.

        Raises:
            ApiError: 400, it is no question about an operation.
        """
        if self._shown is not shown:
            self._shown, self._remembered = shown, {}
        found = self._remembered.get(question)
        if found is None:
            found = self._worked_out(shown.status, question)
            if len(question) <= LONGEST_REMEMBERED and len(self._remembered) < MOST_REMEMBERED:
                self._remembered[question] = found
        return found

    def _worked_out(self, status: StatusBody, body: bytes) -> tuple[bool, bytes]:
        question = decode_body(body, Question)
        try:
            verdict = authorize(status, question.operation, question.delta, self._policy)
        except BadOperation as error:
            raise ApiError(
                400, "bad-operation", str(error), hint="See the table of operations in the documentation."
            ) from error
        return verdict.allowed, encode(VerdictAnswer(**asdict(verdict), **told(status)))
