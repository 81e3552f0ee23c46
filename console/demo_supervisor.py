"""The child processes of the demo: started, watched, stopped. Knows nothing of licences, nodes or etcd.

A child runs in a session of its own, so that a Ctrl-C in the terminal reaches the demo alone and the demo decides in
which order things end; and it is bound to the demo's life by the kernel (see `demo_child`).
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping

T = TypeVar("T")

TAIL_LINES = 12
PATIENCE = 1.5  # seconds between SIGTERM and SIGKILL
# The settings of another site, and proxies that know nothing of this machine's loopback, must not reach the children.
_FOREIGN = ("TWINKEY_", "ETCD_")
_PROXIES = ("http_proxy", "https_proxy", "grpc_proxy", "all_proxy")
_BIND = Path(__file__).with_name("demo_child.py")


@dataclass(frozen=True)
class Program:
    """What to run: `name` is for people, output goes to `log`, relative paths start from `folder`."""

    name: str
    arguments: tuple[str, ...]
    folder: Path
    log: Path


@dataclass(frozen=True)
class Death:
    """A child that ended without having been asked to; `code` is as in `subprocess` (negative: killed by a signal)."""

    name: str
    code: int
    tail: str

    def __str__(self) -> str:
        """Say it in words, with the end of the log."""
        shown = self.tail or "(its log is empty)"
        return f"{self.name} has died unexpectedly ({_how(self.code)}). The end of its log:\n{shown}"


class ChildDied(Exception):  # noqa: N818 - it says what happened
    """A child that the work depends on has died; the text says which, how, and shows its log."""


class Supervisor:
    """The children by name. `on_death` is called with every unexpected death that `unless_dead` does not tell."""

    def __init__(self, on_death: Callable[[Death], None]) -> None:
        self._on_death = on_death
        self._children: dict[str, _Child] = {}
        self._guarded: set[str] = set()

    async def start(self, program: Program) -> None:
        """Start a program; its former run, if any, must have ended."""
        process = await _spawn(program)
        self._children[program.name] = _Child(program, process, self._told)

    def alive(self, name: str) -> bool:
        """Tell whether the child of this name runs."""
        return name in self._children and not self._children[name].ended.done()

    async def stop(self, names: Iterable[str], *, patience: float = PATIENCE) -> None:
        """End these children: SIGTERM, after `patience` seconds SIGKILL; no patience means SIGKILL at once."""
        await asyncio.gather(*(self._children[name].stop(patience) for name in names if self.alive(name)))

    async def stop_all(self, last: Iterable[str] = ()) -> None:
        """End every child; those in `last` after all others and without a warning, since they have nothing to lose."""
        kept = tuple(last)
        await self.stop([name for name in self._children if name not in kept])
        await self.stop(kept, patience=0)

    async def unless_dead(self, names: Iterable[str], work: Awaitable[T]) -> T:
        """Return what `work` gives, or give up as soon as one of these children has died.

        Raises:
            ChildDied: `work` is cancelled.
        """
        task = asyncio.ensure_future(work)
        endings = {name: self._children[name].ended for name in names}
        self._guarded |= endings.keys()
        try:
            await asyncio.wait({task, *endings.values()}, return_when=asyncio.FIRST_COMPLETED)
            if dead := [self._children[name].death() for name, ended in endings.items() if ended.done()]:
                raise ChildDied(str(dead[0]))
            return await task
        finally:
            self._guarded -= endings.keys()
            task.cancel()
            await asyncio.wait({task})

    def _told(self, death: Death) -> None:
        if death.name not in self._guarded:
            self._on_death(death)


class _Child:
    """One run of one program."""

    def __init__(
        self, program: Program, process: asyncio.subprocess.Process, on_death: Callable[[Death], None]
    ) -> None:
        self._program = program
        self._process = process
        self._on_death = on_death
        self._expected = False
        self.ended = asyncio.create_task(self._watch(), name=f"watch {program.name}")

    async def _watch(self) -> None:
        await self._process.wait()
        if not self._expected:
            self._on_death(self.death())

    def death(self) -> Death:
        return Death(self._program.name, self._process.returncode or 0, _tail(self._program.log))

    async def stop(self, patience: float) -> None:
        self._expected = True
        if patience:
            self._signal(signal.SIGTERM)
            await asyncio.wait({self.ended}, timeout=patience)
        if not self.ended.done():
            self._signal(signal.SIGKILL)
        await self.ended

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            self._process.send_signal(number)


async def _spawn(program: Program) -> asyncio.subprocess.Process:
    with program.log.open("ab") as log:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            "-S",
            str(_BIND),
            str(os.getpid()),
            *program.arguments,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=program.folder,
            env=_environment(os.environ),
            start_new_session=True,
        )


def _environment(ours: Mapping[str, str]) -> dict[str, str]:
    kept = {
        name: value for name, value in ours.items() if not name.startswith(_FOREIGN) and name.lower() not in _PROXIES
    }
    return {**kept, "PYTHONUNBUFFERED": "1"}


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return ""
    return "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])


def _how(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
