"""The bundle of a generation: model files, environment, scoring script and signature, under one hash.

The builder writes `bundle.json` beside `score.py`; the host starts workers from the bundle and the gateway compiles
the signature.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from modelyard.core.domain.documents import VERSION, check_format, known_fields
from modelyard.core.domain.input_example import InputExample
from modelyard.core.domain.mlmodel import RawSignature
from modelyard.core.domain.model_manifest import ModelManifest

_FORMAT = 1
BUNDLE_FILE = "bundle.json"
SCORING_SCRIPT = "score.py"


@dataclass(frozen=True, slots=True)
class BundledModel:
    name: str
    version: str
    manifest: ModelManifest
    folder_name: str
    """Name of the registered folder, whose files lie at models/<manifest hash>/<folder name>/."""


@dataclass(frozen=True, slots=True)
class BundledEnvironment:
    spec_hash: str
    lock_hash: str
    python: str
    lock: str


@dataclass(frozen=True, slots=True)
class Bundle:
    endpoint: str
    deployment: str
    generation: int
    model: BundledModel
    environment: BundledEnvironment
    flavor: str
    loader_module: str
    predict_fn: str
    mlflow_version: str | None
    signature: RawSignature | None
    type_hints: bool
    environment_variables: Mapping[str, str] = field(default_factory=dict)
    input_example: InputExample | None = None

    def to_json(self) -> bytes:
        """Canonical: equal bundles give equal bytes."""
        document = {VERSION: _FORMAT, **asdict(self)}
        document["model"]["manifest"] = self.model.manifest.to_list()
        document["model"]["manifest_hash"] = self.model.manifest.digest
        if self.input_example is None:
            # As in bundles of releases without input examples: equal content keeps an equal hash.
            del document["input_example"]
        return json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False).encode()

    @classmethod
    def from_json(cls, content: bytes) -> "Bundle":
        """Raises UnreadableFormat for the bundle of a builder that is a major format version ahead."""
        document: dict[str, Any] = json.loads(content)
        check_format(document, noun="the bundle", newest=_FORMAT)
        model = document["model"]
        signature = document["signature"]
        return cls(
            endpoint=document["endpoint"],
            deployment=document["deployment"],
            generation=document["generation"],
            model=BundledModel(
                name=model["name"],
                version=model["version"],
                manifest=ModelManifest.from_list(model["manifest"]),
                folder_name=model["folder_name"],
            ),
            environment=BundledEnvironment(**known_fields(BundledEnvironment, document["environment"])),
            flavor=document["flavor"],
            loader_module=document["loader_module"],
            predict_fn=document["predict_fn"],
            mlflow_version=document["mlflow_version"],
            signature=RawSignature(**known_fields(RawSignature, signature)) if signature else None,
            type_hints=document["type_hints"],
            environment_variables=document["environment_variables"],
            input_example=document.get("input_example"),
        )

    def digest(self, scoring_script: bytes) -> str:
        """Content hash of the document and the scoring script."""
        return hashlib.sha256(self.to_json() + b"\0" + scoring_script).hexdigest()
