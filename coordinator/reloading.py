"""What SIGHUP does to a coordinator: tokens and certificate are read again; where they are bad, the old ones stay."""

from __future__ import annotations

import logging
from pathlib import Path

from coordinator.board import Board
from coordinator.certificate import BadCertificate, Certificate
from coordinator.guarding import Guard
from coordinator.tokens import BadTokens, read_tokens

log = logging.getLogger(__name__)

WHAT_TO_DO = "put it right and reload again: what was read before counts until then"


class Reloading:
    """Reads again what is in files, for the `guard` and for HTTPS."""

    def __init__(self, tokens: Path, guard: Guard, board: Board, certificate: Certificate | None) -> None:
        self._tokens = tokens
        self._guard = guard
        self._board = board
        self._certificate = certificate

    async def reload(self) -> None:
        """Read everything again; whoever follows the board has to show again who they are."""
        self._reload_tokens()
        if self._certificate:
            self._reload_certificate(self._certificate)
        self._board.wake()

    def _reload_tokens(self) -> None:
        try:
            tokens = read_tokens(self._tokens)
        except BadTokens as error:
            log.error("tokens are not replaced", extra={"why": error, "what_to_do": WHAT_TO_DO})  # noqa: TRY400
            return
        self._guard.know(tokens)
        log.info("tokens were read again", extra={"tokens": len(tokens.tokens)})

    def _reload_certificate(self, certificate: Certificate) -> None:
        try:
            ends = certificate.load()
        except BadCertificate as error:
            log.error("certificate is not replaced", extra={"why": error, "what_to_do": WHAT_TO_DO})  # noqa: TRY400
            return
        log.info("certificate was read again", extra={"ends": ends})
