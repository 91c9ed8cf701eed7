"""Model folders as MLflow writes them, small enough to look at."""

from pathlib import Path

import yaml

SIGNATURE = '[{"name": "x", "type": "double"}, {"name": "n", "type": "long"}]'


def write_model(folder: Path, *, example: bytes | None = None, inputs: str | None = SIGNATURE) -> Path:
    (folder / "data").mkdir(parents=True)
    document: dict[str, object] = {"flavors": {"python_function": {"loader_module": "mlflow.sklearn"}}}
    if inputs:
        document["signature"] = {"inputs": inputs}
    if example is not None:
        document["saved_input_example_info"] = {"artifact_path": "input_example.json"}
        (folder / "input_example.json").write_bytes(example)
    (folder / "MLmodel").write_text(yaml.safe_dump(document))
    (folder / "data" / "weights.bin").write_bytes(bytes(range(256)) * 1024)
    return folder
