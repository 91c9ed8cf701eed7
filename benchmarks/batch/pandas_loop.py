"""A hand-written scoring loop: python pandas_loop.py MODEL INPUT_FOLDER OUTPUT. Runs in MLflow's environment."""

import sys
from pathlib import Path

import mlflow.pyfunc
import pandas as pd

_ROWS_AT_A_TIME = 100_000

model = mlflow.pyfunc.load_model(sys.argv[1])
with Path(sys.argv[3]).open("w") as output:
    for path in sorted(Path(sys.argv[2]).iterdir()):
        for frame in pd.read_csv(path, chunksize=_ROWS_AT_A_TIME):
            pd.DataFrame({"row": frame.index, "prediction": model.predict(frame), "file": path.name}).to_csv(
                output, header=False, index=False
            )
