"""The bundle of one generation of a deployment, with its signature compiled."""

from dataclasses import dataclass
from pathlib import Path

from data_plane.scoring.signature import CompiledSignature, InvalidSignature, compile_signature
from modelyard.core.domain.bundle import BUNDLE_FILE, Bundle


class UnusableBundle(Exception):
    """The bundle cannot be read, or its signature cannot be enforced; the text says why."""


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class LoadedBundle:
    bundle: Bundle
    signature: CompiledSignature


def load_bundle(folder: Path) -> LoadedBundle:
    """Raises UnusableBundle."""
    try:
        bundle = Bundle.from_json((folder / BUNDLE_FILE).read_bytes())
        return LoadedBundle(bundle, compile_signature(bundle.signature, type_hints=bundle.type_hints))
    except InvalidSignature as error:
        raise UnusableBundle(str(error)) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UnusableBundle(f"its bundle cannot be read: {error!r}") from None
