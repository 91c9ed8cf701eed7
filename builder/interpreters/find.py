"""An interpreter of the version that a model asks for."""

from collections.abc import Callable
from pathlib import Path

from builder.errors import NoInterpreter
from builder.interpreters.probe import Interpreter, ProbeCache
from builder.interpreters.runtime_copy import reachable_interpreter
from builder.interpreters.search import SearchPlaces
from modelyard.core.adapters.file_access import reachable

Say = Callable[[str], None]
Fetch = Callable[[str], str | None]
"""Install a minor version; returns why that did not succeed, or None."""

# The rest is in the build log.
_LONGEST_REASON = 120


class Interpreters:
    """All Pythons of the machine. `user` is whom the chosen one must be readable for."""

    def __init__(self, places: SearchPlaces, *, user: int | None, copies: Path) -> None:
        self._places = places
        self._user = user
        self._copies = copies
        self._probes = ProbeCache()

    def found(self) -> list[Interpreter]:
        """Newest first; of two of one version, the one that needs no copy."""
        answers = (self._probes.probe(candidate) for candidate in self._places.candidates())
        by_file = {answer.executable: answer for answer in answers if answer is not None}
        return sorted(by_file.values(), key=lambda each: (each.release, self._is_reachable(each)), reverse=True)

    def minors(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(interpreter.minor for interpreter in self.found()))

    def get(self, minor: str, patch: str | None, *, say: Say, fetch: Fetch) -> Interpreter:
        """The exact patch, else the newest of the minor version, else one that `fetch` brings."""
        chosen = self._best(minor, patch) or self._fetched(minor, patch, say, fetch)
        if patch is not None and chosen.version != patch:
            say(f"asked for Python {patch}, using {chosen.version}")
        return reachable_interpreter(chosen, user=self._user, copies=self._copies)

    def _fetched(self, minor: str, patch: str | None, say: Say, fetch: Fetch) -> Interpreter:
        if self._places.remedy is not None:
            raise NoInterpreter(self._refusal(f"no Python {minor} is in this image; {self._places.remedy}"))
        say(f"no Python {minor} on this machine; asking uv for one")
        reason = fetch(minor)
        chosen = self._best(minor, patch)
        if chosen is None:
            cause = f" ({reason[:_LONGEST_REASON]})" if reason else ""
            missing = f"no Python {minor} on this machine, and uv could not fetch one{cause}"
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
        return f"{missing}, or change the version in conda.yaml to one that is here: {found}"
