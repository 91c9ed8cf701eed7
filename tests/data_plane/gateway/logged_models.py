"""Real MLflow models with their generated scripts."""

import warnings
from collections.abc import Callable
from pathlib import Path

from builder.scoring_script.generate import ScriptSubject, generate_scoring_script
from modelyard.core.domain.mlmodel import MLModel, parse_mlmodel
from tests.data_plane.gateway.gateway_process import GatewayProcess


def logged(gateway: GatewayProcess, name: str, save: Callable[[Path], None]) -> tuple[str, MLModel]:
    """Save the model where the gateway's workers find models; return the scoring script and the MLmodel."""
    folder = gateway.harness.data_dir.models / name
    with warnings.catch_warnings():
        # MLflow's own warnings: as errors, warnings would change the saved model.
        warnings.simplefilter("ignore")
        save(folder)
    model = parse_mlmodel((folder / "MLmodel").read_bytes())
    return generate_scoring_script(ScriptSubject(name, "1", name, model)), model
