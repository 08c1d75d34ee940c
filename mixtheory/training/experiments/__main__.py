"""Make the book's records again: `python -m mixtheory.training.experiments --all`.

A record that is there and was made by the code as it is now is left alone, so that a campaign that was
stopped goes on where it was; `--fresh` makes it again. Each is written as soon as its run has ended.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from mixtheory import paths
from mixtheory.domain import DomainError
from mixtheory.evidence.record import Record, RecordError
from mixtheory.training.experiments import DATASETS, EXPERIMENTS, SCALES, datasets_of, run


def main() -> int:
    """Run what is asked for; 0 if no measurement disagrees."""
    parser = argparse.ArgumentParser(prog="python -m mixtheory.training.experiments", description=__doc__)
    parser.add_argument("experiments", nargs="*", metavar="EXPERIMENT", help=", ".join(EXPERIMENTS))
    parser.add_argument("--all", action="store_true", help="every experiment")
    parser.add_argument("--datasets", default="diabetes,fashion_mnist,cifar10", metavar="A,B",
                        help=", ".join(DATASETS))
    parser.add_argument("--scale", choices=SCALES, default="full")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument("--out", type=Path, default=paths.RECORDS, help="folder (book/records)")
    parser.add_argument("--fresh", action="store_true", help="also what is up to date")
    options = parser.parse_args()
    if bool(options.experiments) == options.all:
        parser.error("name experiments, or give --all")
    if options.out is None:
        parser.error("--out: name a folder; there is no checkout whose book/records could take the records")
    worst = 0
    try:
        for experiment in EXPERIMENTS if options.all else options.experiments:
            for dataset in options.datasets.split(","):
                if options.all and dataset not in datasets_of(experiment):
                    continue
                path = options.out / f"{experiment}.{dataset}.{options.scale}.{options.device}.json"
                if not options.fresh and _current(path):
                    _say(f"{path.name}: up to date")
                    continue
                record = run(experiment, dataset=dataset, scale=options.scale, device=options.device)
                counts = Counter(m.verdict for m in record.measurements)
                _say(f"{record.save(options.out).name}: {record.wall_seconds:.1f} s, "
                     + ", ".join(f"{n} {verdict}" for verdict, n in counts.items()))
                for m in record.measurements:
                    if m.verdict != "agrees":
                        low, high = m.interval
                        _say(f"  {m.verdict}: {m.name} {m.arm}: predicted {m.predicted:.6g}, "
                             f"[{low:.6g}, {high:.6g}], margin {m.margin:.2g}")
                        worst = max(worst, int(m.verdict == "disagrees"))
    except DomainError as error:
        parser.error(str(error))
    return worst


def _current(path: Path) -> bool:
    try:
        return path.is_file() and not Record.load(path).stale
    except RecordError:
        return False


def _say(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())
