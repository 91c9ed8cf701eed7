"""Find an interpreter of a model's Python version."""

from collections.abc import Callable
from pathlib import Path

from builder.build_run import BuildLog
from builder.errors import NoInterpreter
from builder.interpreters.probe import Interpreter, ProbeCache
from builder.interpreters.runtime_copy import reachable_interpreter
from builder.interpreters.search import SearchPlaces
from modelyard.core.adapters.file_access import reachable

Fetch = Callable[[str], str | None]
"""Fetch a Python of a minor version; return the reason of a failure."""

# The build log has the whole reason.
_MAX_REASON_LENGTH = 120


class Interpreters:
    """The Pythons of the machine."""

    def __init__(self, places: SearchPlaces, *, user: int | None, copies: Path) -> None:
        """`user` is the user id to run the chosen interpreter (None: the platform's account);
        an interpreter out of the user's reach is copied into the folder `copies`."""
        self._places = places
        self._user = user
        self._copies = copies
        self._probes = ProbeCache()

    def found(self) -> list[Interpreter]:
        """All interpreters, newest first; of two with the same version, the reachable interpreter comes first."""
        answers = (self._probes.probe(candidate) for candidate in self._places.candidates())
        by_file = {answer.executable: answer for answer in answers if answer is not None}
        return sorted(by_file.values(), key=lambda each: (each.release, self._is_reachable(each)), reverse=True)

    def minors(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(interpreter.minor for interpreter in self.found()))

    def get(self, minor: str, patch: str | None, *, log: BuildLog, fetch: Fetch) -> Interpreter:
        """Return the exact patch version, else the newest of the minor version, else a fetched interpreter.

        Raises NoInterpreter.
        """
        chosen = self._best(minor, patch) or self._fetched(minor, patch, log, fetch)
        if patch is not None and chosen.version != patch:
            log.note(f"asked for Python {patch}, using {chosen.version}")
        return reachable_interpreter(chosen, user=self._user, copies=self._copies)

    def _fetched(self, minor: str, patch: str | None, log: BuildLog, fetch: Fetch) -> Interpreter:
        if self._places.remedy is not None:
            raise NoInterpreter(self._refusal(f"no Python {minor} is in this image; {self._places.remedy}"))
        log.line(f"no Python {minor} on this machine; fetching one")
        reason = fetch(minor)
        chosen = self._best(minor, patch)
        if chosen is None:
            cause = f" ({reason[:_MAX_REASON_LENGTH]})" if reason else ""
            missing = f"no Python {minor} on this machine, and fetching one failed{cause}"
            raise NoInterpreter(self._refusal(f"{missing}; install Python {minor}"))
        return chosen

    def _best(self, minor: str, patch: str | None) -> Interpreter | None:
        suitable = [interpreter for interpreter in self.found() if interpreter.minor == minor]
        exact = (interpreter for interpreter in suitable if interpreter.version == patch)
        return next(exact, suitable[0] if suitable else None)

    def _is_reachable(self, interpreter: Interpreter) -> bool:
        return self._user is None or reachable(interpreter.executable, self._user)

    def _refusal(self, missing: str) -> str:
        found = ", ".join(f"{each.version} ({each.executable})" for each in self.found()) or "none"
        return f"{missing}, or change python in conda.yaml to a version of this machine: {found}"
