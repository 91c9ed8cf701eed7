"""From an MLflow model folder to a live endpoint and a batch job, on a platform that ends with the demo."""

import json
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from modelyard.client import Client, ClientError, ScoringError
from modelyard.client.documents.assets import LocalModel
from modelyard.client.submitting import BatchInvocation, invoke_batch
from modelyard.core.errors import PlatformError
from modelyard.demo.diabetes import SavedModel, train_and_save
from modelyard.demo.narrator import Narrator, Step
from modelyard.demo.temporary_platform import PlatformFailed, temporary_folder, temporary_platform

_NAME = "diabetes"
_BATCH = "diabetes-batch"
_FILES = 4
_SHOWN = 3
_INTERRUPTED = 130
_MEGABYTE = 1 << 20


class DemoFailed(Exception):
    """The platform differs from the promise of the demo."""


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    narrator = Narrator()
    try:
        demonstrate(narrator, os.environ)
    except KeyboardInterrupt:
        narrator.say("\ninterrupted; the platform and all workers have stopped")
        return _INTERRUPTED
    except (DemoFailed, PlatformFailed, ClientError, PlatformError) as error:
        narrator.say(f"\nthe demo failed: {error}")
        return 1
    return 0


def demonstrate(narrator: Narrator, environment: Mapping[str, str]) -> None:
    narrator.heading("From an MLflow model folder to a live, authenticated endpoint, and to a batch job\n")
    with temporary_folder() as folder:
        with narrator.step("train a model and save with MLflow") as step:
            model = train_and_save(folder / _NAME)
            step.result = model.description
        _deploy_and_score(narrator, folder, model, environment)
    narrator.heading(f"\nThe demo succeeded in {narrator.seconds:.0f} s.")
    programs = _shown(Path(sys.executable).parent)
    narrator.say(f"For your own model: {programs}modelyard up, then {programs}modelyard deploy ./model")


def _deploy_and_score(narrator: Narrator, folder: Path, model: SavedModel, environment: Mapping[str, str]) -> None:
    with ExitStack() as running:
        with narrator.step("start the platform") as step:
            platform = running.enter_context(temporary_platform(folder, environment))
            step.result = platform.url
        with Client(platform) as client:
            _deploy(narrator, client, model)
            _compare(narrator, client, model)
            _send_invalid_request(narrator, client, model)
            _score_files(narrator, client, model, folder)
        with narrator.step("stop the platform"):
            running.close()


def _deploy(narrator: Narrator, client: Client, model: SavedModel) -> None:
    with narrator.step("register the model folder") as step:
        version = client.models.register(LocalModel(model.folder, name=_NAME))
        size = sum(path.stat().st_size for path in model.folder.rglob("*") if path.is_file())
        step.result = f"{_NAME}:{version['name']}, {size / _MEGABYTE:.1f} MB"
    with narrator.step("create an endpoint") as step:
        client.put_endpoint({"name": _NAME}).wait(step)
        step.result = client.online_endpoints.get(_NAME)["properties"]["scoringUri"]
    with narrator.step("deploy the model") as step:
        document = {"name": "blue", "endpoint_name": _NAME, "model": version["id"]}
        client.put_deployment(document, model.folder, step).wait(step)
        step.result = "without a scoring script or an environment"
    with narrator.step("route all traffic") as step:
        client.online_endpoints.set_traffic(_NAME, {"blue": 100}).wait(step)


def _compare(narrator: Narrator, client: Client, model: SavedModel) -> None:
    """Score with the endpoint, and compare the predictions with the model's."""
    rows = model.rows.head(_SHOWN)
    body = {"input_data": json.loads(rows.to_json(orient="split", index=False))}
    with narrator.step("score with the endpoint's key"):
        answered = json.loads(client.invoke(_NAME, json.dumps(body).encode()))
    _show_equal(narrator, "endpoint", answered, model.predictions[:_SHOWN])


def _show_equal(narrator: Narrator, source: str, scored: Sequence[float], expected: Sequence[float]) -> None:
    """Show the first predictions side by side. Raises DemoFailed for a difference in any prediction."""
    narrator.say(f"\n    patient  {source:>25}{'model in this process':>25}")
    for row, (there, here) in enumerate(zip(scored[:_SHOWN], expected, strict=False), start=1):
        narrator.say(f"    {row:<9}{there!r:>25}{here!r:>25}")
    if list(scored) != list(expected):
        raise DemoFailed(f"the predictions of the {source} differ from the model's")
    narrator.say(f"    {'all ' + str(len(expected)) + ' ' if len(expected) > _SHOWN else ''}equal to the last bit\n")


def _send_invalid_request(narrator: Narrator, client: Client, model: SavedModel) -> None:
    """Send an invalid request. The endpoint lists every violation of the signature, without calling the model."""
    row: dict[str, Any] = model.rows.iloc[0].to_dict()
    del row["bmi"]
    wrong = {"columns": list(row), "data": [[*["fifty-nine"], *list(row.values())[1:]]]}
    with narrator.step("send an invalid request") as step:
        step.result = "column bmi missing, age a text"
        error = _scoring_error(client, {"input_data": wrong})
    narrator.say(f"\n    rejected: {error.message}")
    for violation in error.violations:
        narrator.say(f"      - {violation}")
    narrator.say()


def _score_files(narrator: Narrator, client: Client, model: SavedModel, folder: Path) -> None:
    """Score a folder of files in a batch job, and compare the predictions with the model's."""
    files = _write_files(model, folder / "patients")
    with narrator.step("create a batch endpoint") as step:
        client.put_batch_endpoint({"name": _BATCH}).wait(step)
        document = {"name": "blue", "endpoint_name": _BATCH, "model": f"azureml:{_NAME}@latest"}
        client.put_batch_deployment(document, model.folder, step).wait(step)
        client.batch_endpoints.set_default(_BATCH, "blue").wait(step)
        step.result = "reuses the environment"
    with narrator.step("score a folder of files") as step:
        job = _run_job(client, files, step)
        step.result = f"{_FILES} files, {len(model.rows)} rows"
    written = next(path for path in client.jobs.download(job, folder) if path.suffix == ".csv")
    lines = written.read_text().splitlines()
    narrator.say(f"\n    {written.name}: row, prediction, file")
    for line in lines[:_SHOWN]:
        narrator.say(f"      {line}")
    _show_equal(narrator, "predictions file", [float(line.split(",")[1]) for line in lines], model.predictions)


def _run_job(client: Client, files: Path, step: Step) -> str:
    job = str(invoke_batch(client, BatchInvocation(_BATCH, str(files)), step)["name"])
    for progress in client.jobs.follow(job):
        if not progress.has_ended:
            step.step(progress.status.lower())
    if not progress.is_completed:
        raise progress.failure
    return job


def _write_files(model: SavedModel, folder: Path) -> Path:
    """Write the patients into several files, in order."""
    folder.mkdir()
    size = -(-len(model.rows) // _FILES)
    for number in range(_FILES):
        part = model.rows.iloc[number * size : (number + 1) * size]
        part.to_csv(folder / f"patients-{number + 1}.csv", index=False)
    return folder


def _scoring_error(client: Client, body: Mapping[str, Any]) -> ScoringError:
    try:
        client.invoke(_NAME, json.dumps(body).encode())
    except ScoringError as error:
        if error.status == 400 and len(error.violations) == 2:
            return error
        raise DemoFailed(f"the endpoint rejected the invalid request for another reason: {error}") from error
    raise DemoFailed("the endpoint answered a request that violates the signature")


def _shown(folder: Path) -> str:
    """Return the folder, relative to the working directory where possible."""
    return f"{folder.relative_to(Path.cwd())}/" if folder.is_relative_to(Path.cwd()) else f"{folder}/"


if __name__ == "__main__":
    sys.exit(main())
