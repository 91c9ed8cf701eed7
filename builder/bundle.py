"""Publishes what a generation runs: `bundle.json` and `score.py`, under the hash of both."""

from modelyard.core.domain.bundle import BUNDLE_FILE, SCORING_SCRIPT, Bundle
from modelyard.core.ports.object_store import ObjectStore


def bundle_key(bundle_hash: str, file: str) -> str:
    return f"bundles/{bundle_hash}/{file}"


def publish_bundle(store: ObjectStore, bundle: Bundle, scoring_script: str) -> str:
    """Returns the bundle's hash. The document is written last: where it is, all of the bundle is."""
    script = scoring_script.encode()
    bundle_hash = bundle.digest(script)
    store.put(bundle_key(bundle_hash, SCORING_SCRIPT), [script])
    store.put(bundle_key(bundle_hash, BUNDLE_FILE), [bundle.to_json()])
    return bundle_hash
