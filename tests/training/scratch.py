"""An experiment for tests: six small pieces that can be told, through the environment, to be slow or to fail.

SCRATCH_PAUSE: seconds that a piece takes. SCRATCH_LOG: a file that gets a line for each piece that is begun.
SCRATCH_FAIL: a piece that raises, SCRATCH_DIE: one that ends its process.
"""

from __future__ import annotations

import os
import time

import numpy as np

from mixtheory.evidence.record import Measurement, Observation

DATASETS = ("digits", "mnist")
SIZES = {"quick": 6, "full": 3}
SEEDS = {"full": (3, 5)}
VALUE = {"digits": 2.0}
MINUTES = {("digits", "quick", "cpu"): 0.6, ("mnist", "quick", "cpu"): 0.6}


def pieces(dataset, size):
    return tuple(f"arm.{k}" for k in range(size))


def measure_piece(piece, dataset, *, size, device, seeds, progress):
    if os.environ.get("SCRATCH_LOG"):
        with open(os.environ["SCRATCH_LOG"], "a") as file:
            file.write(f"{dataset} {piece}\n")
    if os.environ.get("SCRATCH_DIE") == piece:
        os._exit(3)
    time.sleep(float(os.environ.get("SCRATCH_PAUSE", "0")))
    if os.environ.get("SCRATCH_FAIL") == piece:
        raise MemoryError("no more memory")
    if progress:
        progress("slept")
    k = int(piece.removeprefix("arm."))
    return {"k": k, "values": [float(np.random.default_rng([k, seed]).normal(size=99).mean()) for seed in seeds]}


def conclude(dataset, *, size, seeds, found):
    assert list(found) == list(pieces(dataset, size))
    measurements = [Measurement("mean", "mixing_moments.shrinkage", {"k": f["k"]}, tuple(f["values"]), 0.0, 0.5)
                    for f in found.values()]
    return {"size": size}, measurements, [Observation("first", {}, (found["arm.0"]["values"][0],), "units")]
