"""Measure uploads and downloads by azure-storage-blob: the platform's Blob routes beside Azurite.

    python -m benchmarks.stores.blob_routes [--megabytes 512] [--rounds 3]

Both servers run at the same time and take turns within each round; each round has new content. Prints a line of JSON
with the medians in megabytes per second, and the ratios of the platform to Azurite.
"""

import argparse
import io
import json
import os
import statistics
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager

import httpx2
import numpy as np
from azure.storage.blob import ContainerClient

from modelyard.client.platform import Platform
from modelyard.demo.temporary_platform import temporary_folder, temporary_platform
from tests.object_stores import azurite
from tests.object_stores.servers import azure_server

OURS, AZURITE = "modelyard", "azurite"
_MB = 1 << 20
_CONCURRENCY = 4
_STORE = (
    "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/local/providers"
    "/Microsoft.MachineLearningServices/workspaces/default/datastores/workspaceblobstore"
)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--megabytes", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    print(json.dumps(measure(options.megabytes, options.rounds)))


def measure(megabytes: int, rounds: int) -> Mapping[str, float]:
    seconds: dict[str, list[float]] = {}
    with _containers() as containers:
        for number in range(rounds):
            content = np.random.default_rng(number).bytes(megabytes * _MB)
            for name in sorted(containers, reverse=bool(number % 2)):
                for direction, took in _moved(containers[name], content).items():
                    seconds.setdefault(f"{name}_{direction}", []).append(took)
    speed = {name: megabytes / statistics.median(took) for name, took in seconds.items()}
    ratios = {way: speed[f"{OURS}_{way}"] / speed[f"{AZURITE}_{way}"] for way in ("upload", "download")}
    return {
        "megabytes": megabytes,
        **{f"{name}_mb_s": round(value, 1) for name, value in speed.items()},
        **{f"{way}_ratio": round(value, 2) for way, value in ratios.items()},
    }


def _moved(container: ContainerClient, content: bytes) -> Mapping[str, float]:
    blob = container.get_blob_client("large")
    began = time.perf_counter()
    blob.upload_blob(io.BytesIO(content), length=len(content), overwrite=True, max_concurrency=_CONCURRENCY)
    uploaded = time.perf_counter()
    received = blob.download_blob(max_concurrency=_CONCURRENCY).readall()
    downloaded = time.perf_counter()
    if received != content:
        raise AssertionError("the downloaded content differs from the uploaded content")
    blob.delete_blob()
    return {"upload": uploaded - began, "download": downloaded - uploaded}


@contextmanager
def _containers() -> Iterator[Mapping[str, ContainerClient]]:
    with ExitStack() as running:
        server = running.enter_context(azure_server())
        folder = running.enter_context(temporary_folder())
        platform = running.enter_context(temporary_platform(folder, os.environ))
        credential = {"account_name": azurite.ACCOUNT, "account_key": azurite.KEY}
        theirs = ContainerClient(server.endpoint, server.url.split("/")[3], credential=credential)
        yield {OURS: _our_container(platform), AZURITE: theirs}


def _our_container(platform: Platform) -> ContainerClient:
    headers = {"Authorization": f"Bearer {platform.token}"}
    with httpx2.Client(base_url=platform.url, headers=headers) as http:
        place = http.get(_STORE).raise_for_status().json()["properties"]
        secrets = http.post(f"{_STORE}/listSecrets", json={}).raise_for_status().json()
    account = f"http://{place['accountName']}.blob.{place['endpoint']}"
    return ContainerClient(account, place["containerName"], credential=secrets["sasToken"])


if __name__ == "__main__":
    main()
