"""Image data sets, whose content is checked by SHA-256 every time they are read.

`digits` comes with scikit-learn, so everything runs without a download. The others are looked for as
`NAME.npz` in `$MIXTHEORY_DATA`, then in the user's cache, and are otherwise fetched once from their public
homes into that cache. `$MIXTHEORY_DATA_URL` names a mirror that serves the same files as `BASE/NAME/FILE`.
The checksum covers the content, not the container: a file from anywhere will do if its images are right.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import os
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mixtheory import paths
from mixtheory.domain import DomainError

__all__ = ["NAMES", "DataError", "ImageData", "at_hand", "content_sha256", "describe", "load", "locate",
           "read_cifar10", "read_idx"]

PARTS = ("x_train", "y_train", "x_test", "y_test")
IDX_FILES = ("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz",
             "t10k-images-idx3-ubyte.gz", "t10k-labels-idx1-ubyte.gz")
DIGITS_TEST_EVERY = 6
"""Images 0, 6, 12, ... of `digits` are the test part; this step keeps the classes even in both parts."""

Arrays = Mapping[str, np.ndarray]


class DataError(DomainError):
    """A data set is not available, or a file is not what it should be. The message names file and remedy."""


def _refuse(where: object, expected: object, found: object, remedy: str = "") -> None:
    raise DataError(f"{where}: expected {expected}, found {found}. {remedy}".rstrip())


@dataclass(frozen=True, eq=False)
class ImageData:
    """Images and labels, split into a training and a test part.

    x_train, x_test: uint8 of shape (n, h, w) or (n, h, w, 3), intensities from 0 to `maximum`.
    y_train, y_test: uint8 of shape (n,), labels from 0 to `classes` - 1.
    Raises DataError where shapes, types or ranges disagree with this.
    """

    name: str
    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray
    classes: int = 10
    maximum: int = 255

    def __post_init__(self) -> None:
        for part in PARTS:
            array = getattr(self, part)
            if not isinstance(array, np.ndarray) or array.dtype != np.uint8:
                kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
                _refuse(f"{self.name} {part}", "a NumPy array of uint8", kind)
        for x, y, split in ((self.x_train, self.y_train, "train"), (self.x_test, self.y_test, "test")):
            if x.ndim not in (3, 4) or (x.ndim == 4 and x.shape[3] != 3):
                _refuse(f"{self.name} x_{split}", "shape (n, h, w) or (n, h, w, 3)", x.shape)
            if y.shape != x.shape[:1] or not len(y):
                _refuse(f"{self.name} y_{split}", f"one label for each of {len(x) or 'some'} images", y.shape)
            if y.max() >= self.classes:
                _refuse(f"{self.name} y_{split}", f"labels below {self.classes}", y.max())
            if x.max() > self.maximum:
                _refuse(f"{self.name} x_{split}", f"intensities up to {self.maximum}", x.max())
        if self.x_train.shape[1:] != self.x_test.shape[1:]:
            _refuse(f"{self.name} x_test", f"images of {self.x_train.shape[1:]}", self.x_test.shape[1:])


def content_sha256(arrays: Arrays) -> str:
    """SHA-256 (hex) over the bytes of x_train, y_train, x_test, y_test in this order, each row-major."""
    digest = hashlib.sha256()
    for part in PARTS:
        digest.update(np.ascontiguousarray(arrays[part]).reshape(-1).view(np.uint8))
    return digest.hexdigest()


# --- formats ------------------------------------------------------------------------------------------------

def read_idx(path: Path) -> np.ndarray:
    """The uint8 array of an IDX file, gzipped or plain.

    Header: two zero bytes, the type (8: unsigned byte), the number of axes, one big-endian uint32 per axis.
    Raises DataError unless exactly as many bytes follow as the header promises.
    """
    raw = path.read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = gzip.decompress(raw)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path.name}: expected a whole gzip file, found a truncated or damaged one "
                            f"({error}).") from error
    if len(raw) < 4 or raw[:3] != b"\x00\x00\x08" or not raw[3]:
        _refuse(path.name, "an IDX file of unsigned bytes", f"the first bytes {raw[:8]!r}")
    start = 4 + 4 * raw[3]
    if len(raw) < start:
        _refuse(path.name, f"a header of {start} bytes", f"{len(raw)} bytes in all")
    shape = tuple(int.from_bytes(raw[at:at + 4], "big") for at in range(4, start, 4))
    promised = 1
    for length in shape:
        promised *= length
    if len(raw) - start != promised:
        _refuse(path.name, f"{promised} bytes of data for shape {shape}", f"{len(raw) - start} bytes")
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def read_cifar10(path: Path) -> dict[str, np.ndarray]:
    """The four arrays of CIFAR-10's binary archive (tar, compressed or plain), images as (n, 32, 32, 3).

    Each record is one label byte and three planes (red, green, blue) of 32 x 32 in row-major order.
    """
    record = 1 + 3 * 32 * 32
    batches = {"train": [f"data_batch_{i}.bin" for i in range(1, 6)], "test": ["test_batch.bin"]}
    arrays = {}
    try:
        with tarfile.open(path, "r:*") as archive:
            members = {Path(member.name).name: member for member in archive if member.isfile()}
            for split, names in batches.items():
                parts = []
                for name in names:
                    if name not in members:
                        _refuse(path.name, f"a member {name}", ", ".join(sorted(members)) or "none")
                    raw = archive.extractfile(members[name]).read()
                    if not raw or len(raw) % record:
                        _refuse(f"{path.name}: {name}", f"records of {record} bytes", f"{len(raw)} bytes")
                    parts.append(np.frombuffer(raw, np.uint8).reshape(-1, record))
                records = np.concatenate(parts)
                arrays[f"y_{split}"] = records[:, 0].copy()
                planes = records[:, 1:].reshape(-1, 3, 32, 32)
                arrays[f"x_{split}"] = np.ascontiguousarray(planes.transpose(0, 2, 3, 1))
    except (tarfile.TarError, OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path.name}: expected a whole tar archive, found a truncated or damaged one "
                        f"({error}).") from error
    return arrays


# --- what is known ------------------------------------------------------------------------------------------

@dataclass(frozen=True)
class Spec:
    """What a data set must be (content hash, sizes) and where its files are: `home` + file is an address."""

    sha256: str
    train: int
    test: int
    shape: tuple[int, ...]
    home: str = ""
    files: tuple[str, ...] = ()
    read: Callable[[Path], Arrays] | None = None
    classes: int = 10
    maximum: int = 255

    def image_data(self, name: str, arrays: Arrays, where: object, remedy: str) -> ImageData:
        """The checked data set; a DataError that names `where` and `remedy` if the content is another."""
        sizes = {"train": self.train, "test": self.test}
        for part in PARTS:
            if part not in arrays:
                _refuse(where, f"an array {part}", f"only {', '.join(sorted(arrays)) or 'nothing'}", remedy)
            kind, split = part.split("_")
            shape = (sizes[split], *(self.shape if kind == "x" else ()))
            if arrays[part].shape != shape or arrays[part].dtype != np.uint8:
                found = f"{arrays[part].dtype} of shape {arrays[part].shape}"
                _refuse(f"{where}: {part}", f"uint8 of shape {shape}", found, remedy)
        found = content_sha256(arrays)
        if found != self.sha256:
            _refuse(where, f"the content SHA-256 {self.sha256}", found, remedy)
        return ImageData(name, *(arrays[part] for part in PARTS), classes=self.classes, maximum=self.maximum)


def _read_idx_files(folder: Path) -> Arrays:
    return {part: read_idx(folder / file) for part, file in zip(PARTS, IDX_FILES, strict=True)}


SPECS = {
    "digits": Spec(
        "676b9b828431cf30e4e4cfd780891c165aab472f3ac926d8bbbc22bd0222de5e", 1497, 300, (8, 8), maximum=16),
    "mnist": Spec(
        "06b0d1f124c4e5fa796686ade41a9b778edacc8622f2195a352ef479ad44fc16", 60000, 10000, (28, 28),
        "https://ossci-datasets.s3.amazonaws.com/mnist/", IDX_FILES, _read_idx_files),
    "fashion_mnist": Spec(
        "ca3ab2a37f845e1b8ae23cab1b51749a3011ba3bf1d9016176d75cbaabac376f", 60000, 10000, (28, 28),
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/", IDX_FILES, _read_idx_files),
    "cifar10": Spec(
        "80387ddb9a0edf3fc4a964ee3770296169bb26a651050df20035579673099660", 50000, 10000, (32, 32, 3),
        "https://www.cs.toronto.edu/~kriz/", ("cifar-10-binary.tar.gz",),
        lambda folder: read_cifar10(folder / "cifar-10-binary.tar.gz")),
}
NAMES = tuple(SPECS)


def _spec(name: str) -> Spec:
    if name not in SPECS:
        raise DataError(f"there is no data set {name!r}; the names are {', '.join(SPECS)}")
    return SPECS[name]


# --- where it is --------------------------------------------------------------------------------------------

def locate(name: str) -> Path | None:
    """The `NAME.npz` that `load` reads: in $MIXTHEORY_DATA or else the cache; None if neither has it."""
    _spec(name)
    given = os.environ.get("MIXTHEORY_DATA")
    for folder in ([Path(given).expanduser()] if given else []) + [paths.cache()]:
        if (folder / f"{name}.npz").is_file():
            return folder / f"{name}.npz"
    return None


def at_hand(name: str) -> bool:
    """True if `load(name)` needs no download. The content is not checked here."""
    _spec(name)
    return importlib.util.find_spec("sklearn") is not None if name == "digits" else locate(name) is not None


def load(name: str, *, download: bool = True, source: str | None = None, quiet: bool = False) -> ImageData:
    """The data set `name`, its content verified.

    download: fetch it into the user's cache if it is not at hand; otherwise DataError.
    source: base address of a mirror, in place of $MIXTHEORY_DATA_URL and the public home.
    quiet: no progress bar; a standard error that is no terminal never gets one.
    """
    spec = _spec(name)
    if name == "digits":
        return _digits(spec)
    path = locate(name)
    if path is not None:
        remedy = f"Remove {path} and load {name} again, or put a good copy in its place."
        return spec.image_data(name, _read_npz(path, remedy), path, remedy)
    if not download:
        raise DataError(f"{name} is not at hand: no {name}.npz in $MIXTHEORY_DATA or {paths.cache()}. "
                        f"`mixtheory data {name}` fetches it.")
    return _fetch(name, spec, source or os.environ.get("MIXTHEORY_DATA_URL"), quiet)


def describe(name: str) -> str:
    """One line: sizes, place and the verified hash of a data set at hand, or where it would come from."""
    spec = _spec(name)
    if not at_hand(name):
        need = "scikit-learn" if name == "digits" else f"a download from {spec.home}"
        return f"{name}: not at hand, needs {need}"
    data = load(name, download=False)
    size = " x ".join(map(str, spec.shape))
    place = locate(name) or "bundled with scikit-learn"
    return (f"{name}: {len(data.y_train)} training and {len(data.y_test)} test images of {size}, "
            f"{data.classes} classes, SHA-256 {spec.sha256[:12]} verified, {place}")


# --- how it is read and fetched -----------------------------------------------------------------------------

def _digits(spec: Spec) -> ImageData:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise DataError("digits is bundled with scikit-learn, which is not installed; "
                        "`pip install mixtheory[book]` brings it") from error
    bunch = load_digits()
    x, y = bunch.images.astype(np.uint8), bunch.target.astype(np.uint8)
    test = np.arange(len(y)) % DIGITS_TEST_EVERY == 0
    arrays = dict(zip(PARTS, (x[~test], y[~test], x[test], y[test]), strict=True))
    return spec.image_data("digits", arrays, "digits from scikit-learn", "Reinstall scikit-learn.")


def _read_npz(path: Path, remedy: str) -> dict[str, np.ndarray]:
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as archive:
            return {part: archive[part] for part in PARTS if part in archive.files}
    except Exception as error:  # a damaged container can make zipfile, zlib and NumPy raise nearly anything
        raise DataError(f"{path}: expected a readable .npz of plain arrays, found one that fails with "
                        f"{type(error).__name__} ({error}). {remedy}") from error


def _fetch(name: str, spec: Spec, source: str | None, quiet: bool) -> ImageData:
    """Download, parse and verify in a folder of its own; only a verified file ever gets the final name."""
    try:
        import pooch
    except ImportError as error:
        raise DataError(f"{name} is not at hand and pooch, which fetches it, is not installed; `pip install "
                        f"mixtheory[book]` brings it, or put {name}.npz into $MIXTHEORY_DATA") from error
    base = f"{source.rstrip('/')}/{name}/" if source else spec.home
    remedy = (f"Nothing was kept. Try again, set $MIXTHEORY_DATA_URL to a mirror, or put {name}.npz into "
              "$MIXTHEORY_DATA.")
    bar = not quiet and sys.stderr.isatty() and importlib.util.find_spec("tqdm") is not None
    get = pooch.HTTPDownloader(progressbar=bar, chunk_size=1 << 16)
    cache = paths.cache()
    try:
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix=f".{name}-") as folder:
            stage = Path(folder)
            for file in spec.files:
                get(base + file, str(stage / file), None)
            try:
                arrays = spec.read(stage)
            except DataError as error:
                raise DataError(f"{base}{error} {remedy}") from error
            data = spec.image_data(name, arrays, base, remedy)
            with open(stage / "verified.npz", "wb") as out:
                np.savez_compressed(out, **{part: getattr(data, part) for part in PARTS})
                out.flush()
                os.fsync(out.fileno())
            os.replace(stage / "verified.npz", cache / f"{name}.npz")
    except OSError as error:  # requests' own errors are OSErrors too
        raise DataError(f"{name} could not be fetched from {base}: {error}. {remedy}") from error
    return data
