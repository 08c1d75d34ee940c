"""The data layer: what is read is verified, what is wrong is named, and nothing partial is ever left behind.

Downloads come from a server in this process, which offers two small data sets in files of the true formats.
"""

from __future__ import annotations

import gzip
import io
import struct
import subprocess
import sys
import tarfile
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from mixtheory.domain import DomainError
from mixtheory.training import data
from mixtheory.training.data import PARTS, DataError, ImageData

ARCHIVE = "cifar-10-binary.tar.gz"


def idx_bytes(array: np.ndarray) -> bytes:
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.tobytes()


def cifar_bytes(arrays: dict[str, np.ndarray], skip: str = "") -> bytes:
    """The binary archive, written pixel plane by pixel plane; five training batches of one image each."""
    def records(x: np.ndarray, y: np.ndarray) -> bytes:
        return b"".join(bytes([label]) + b"".join(image[:, :, c].tobytes() for c in range(3))
                        for image, label in zip(x, y, strict=True))

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        content = {f"data_batch_{i + 1}.bin": records(arrays["x_train"][i:i + 1], arrays["y_train"][i:i + 1])
                   for i in range(5)}
        content |= {"test_batch.bin": records(arrays["x_test"], arrays["y_test"]), "readme.html": b"<html>"}
        for name, raw in content.items():
            if name != skip:
                member = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
                member.size = len(raw)
                archive.addfile(member, io.BytesIO(raw))
    return buffer.getvalue()


def arrays_of(shape: tuple[int, ...], train: int, test: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    images = rng.integers(0, 256, (train + test, *shape), dtype=np.uint8)
    labels = rng.integers(0, 10, train + test, dtype=np.uint8)
    return dict(zip(PARTS, (images[:train], labels[:train], images[train:], labels[train:]), strict=True))


GREY, COLOUR = arrays_of((4, 5), 7, 3), arrays_of((32, 32, 3), 5, 2)


@pytest.fixture
def server():
    """Serves `files`; those in `short` end before the announced length; `asked` lists the requested paths."""
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):  # noqa: N802
            self.server.asked.append(self.path)
            body = self.server.files.get(self.path)
            self.send_response(200 if body is not None else 404)
            self.send_header("Content-Length", str(len(body or b"") + (self.path in self.server.short)))
            self.end_headers()
            self.wfile.write(body or b"")

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        running.files, running.short, running.asked = {}, set(), []
        running.base = f"http://127.0.0.1:{running.server_port}"
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache folder; no $MIXTHEORY_DATA, no mirror, no proxy."""
    for variable in ("MIXTHEORY_DATA", "MIXTHEORY_DATA_URL"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mixtheory"


@pytest.fixture
def world(cache, server, monkeypatch):
    """The server offers `grey` (IDX) and `colour` (CIFAR-10's binary format), both registered by hash."""
    server.files |= {f"/grey/{file}": gzip.compress(idx_bytes(GREY[part]))
                     for part, file in zip(PARTS, data.IDX_FILES, strict=True)}
    server.files[f"/colour/{ARCHIVE}"] = cifar_bytes(COLOUR)
    monkeypatch.setitem(data.SPECS, "grey", replace(
        data.SPECS["mnist"], sha256=data.content_sha256(GREY), train=7, test=3, shape=(4, 5),
        home=f"{server.base}/grey/"))
    monkeypatch.setitem(data.SPECS, "colour", replace(
        data.SPECS["cifar10"], sha256=data.content_sha256(COLOUR), train=5, test=2,
        home=f"{server.base}/colour/"))
    return server


def same(found: ImageData, arrays: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(getattr(found, part), arrays[part]) for part in PARTS)


def left_behind(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def put(folder: Path, name: str, **arrays: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(folder / f"{name}.npz", **arrays)
    return folder / f"{name}.npz"


# --- digits -------------------------------------------------------------------------------------------------

def test_digits_are_the_bundled_images_split_by_index():
    from sklearn.datasets import load_digits
    bundled, found = load_digits(), data.load("digits")
    assert (len(found.x_train), len(found.x_test), found.maximum, found.classes) == (1497, 300, 16, 10)
    assert np.array_equal(found.x_test, bundled.images[::6])
    assert np.array_equal(found.y_train, np.delete(bundled.target, np.s_[::6]))
    assert found.x_train.max() == 16
    assert np.bincount(found.y_test, minlength=10).min() >= 25
    assert same(data.load("digits"), vars(found))


def test_digits_without_scikit_learn_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(DataError, match=r"pip install mixtheory\[book\]"):
        data.load("digits")


# --- download -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("name", "arrays"), [("grey", GREY), ("colour", COLOUR)])
def test_download_once_then_from_the_cache(world, cache, name, arrays, monkeypatch, capfd):
    assert not data.at_hand(name)
    assert "not at hand" in data.describe(name)
    assert same(data.load(name), arrays)
    assert capfd.readouterr().err == "", "no progress bar where there is no terminal"
    requests = len(world.asked)
    assert requests == len(data.SPECS[name].files)
    assert left_behind(cache) == [f"{name}.npz"]
    monkeypatch.setitem(sys.modules, "pooch", None)
    assert data.at_hand(name)
    assert same(data.load(name), arrays)
    assert str(cache / f"{name}.npz") in data.describe(name)
    assert len(world.asked) == requests


def test_a_mirror_by_argument_or_environment(world, cache, monkeypatch):
    monkeypatch.setitem(data.SPECS, "grey", replace(data.SPECS["grey"], home="http://127.0.0.1:9/nowhere/"))
    with pytest.raises(DataError, match="127.0.0.1:9/nowhere"):
        data.load("grey")
    monkeypatch.setenv("MIXTHEORY_DATA_URL", "http://127.0.0.1:9/wrong")
    assert same(data.load("grey", source=world.base), GREY)
    (cache / "grey.npz").unlink()
    monkeypatch.setenv("MIXTHEORY_DATA_URL", world.base + "/")
    assert same(data.load("grey"), GREY)


def test_without_download_or_pooch_the_error_says_what_to_do(world, cache, monkeypatch):
    with pytest.raises(DataError, match="`mixtheory data grey` fetches it"):
        data.load("grey", download=False)
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DataError, match=r"pip install mixtheory\[book\]"):
        data.load("grey")
    assert world.asked == []


def damage(world, how: str) -> tuple[str, str]:
    """Spoils what the server offers; returns the data set and a pattern of the message that must come."""
    images, labels = (f"/grey/{file}" for file in data.IDX_FILES[:2])
    match how:
        case "cut, length announced":
            world.files[images] = world.files[images][:-1]
            world.short.add(images)
            return "grey", "could not be fetched"
        case "cut, length not announced":
            world.files[images] = world.files[images][:-30]
            return "grey", "train-images.*truncated or damaged"
        case "cut archive":
            world.files[f"/colour/{ARCHIVE}"] = world.files[f"/colour/{ARCHIVE}"][:9000]
            return "colour", f"{ARCHIVE}.*truncated or damaged"
        case "archive without a batch":
            world.files[f"/colour/{ARCHIVE}"] = cifar_bytes(COLOUR, skip="data_batch_4.bin")
            return "colour", "expected a member data_batch_4.bin"
        case "missing":
            del world.files[labels]
            return "grey", "404"
        case "a page in its place":
            world.files[labels] = b"<html>we have moved</html>"
            return "grey", "train-labels.*IDX file of unsigned bytes.*<html"
        case "one pixel changed":
            changed = GREY["x_train"].copy()
            changed[0, 0, 0] ^= 1
            world.files[images] = gzip.compress(idx_bytes(changed))
            return "grey", "expected the content SHA-256"
        case "other sizes":
            world.files[images] = gzip.compress(idx_bytes(GREY["x_train"].reshape(7, 5, 4)))
            return "grey", r"x_train: expected uint8 of shape \(7, 4, 5\)"
    raise AssertionError(how)


@pytest.mark.parametrize("how", [
    "cut, length announced", "cut, length not announced", "cut archive", "archive without a batch", "missing",
    "a page in its place", "one pixel changed", "other sizes"])
def test_a_bad_download_is_refused_and_leaves_nothing(world, cache, how):
    name, pattern = damage(world, how)
    with pytest.raises(DataError, match=f"(?s){pattern}.*Nothing was kept"):
        data.load(name)
    assert left_behind(cache) == []


@pytest.mark.parametrize("error", [OSError("no space left"), KeyboardInterrupt()])
def test_an_interrupted_write_leaves_nothing(world, cache, monkeypatch, error):
    def half_written(file, **arrays):
        file.write(b"PK half")
        raise error

    monkeypatch.setattr(np, "savez_compressed", half_written)
    with pytest.raises(DataError if isinstance(error, OSError) else KeyboardInterrupt):
        data.load("grey")
    assert left_behind(cache) == []


# --- reading a file -----------------------------------------------------------------------------------------

def test_environment_comes_before_cache_and_neither_asks_the_server(world, cache, tmp_path, monkeypatch):
    monkeypatch.setenv("MIXTHEORY_DATA", str(tmp_path / "mine"))
    in_cache = put(cache, "grey", **GREY)
    assert data.locate("grey") == in_cache
    mine = put(tmp_path / "mine", "grey", **GREY)
    assert data.locate("grey") == mine
    assert same(data.load("grey"), GREY)
    mine.write_bytes(b"")
    with pytest.raises(DataError, match="mine.*grey.npz.*Remove"):
        data.load("grey")  # a bad file is reported, never silently passed over
    assert world.asked == []


def test_any_flipped_byte_is_noticed(world, cache):
    path = put(cache, "grey", **GREY)
    good, refused = path.read_bytes(), 0
    for at in range(len(good)):
        path.write_bytes(good[:at] + bytes([good[at] ^ 0x55]) + good[at + 1:])
        try:
            assert same(data.load("grey"), GREY), f"byte {at} changed the images and was not noticed"
        except DataError:
            refused += 1
    assert refused > len(good) / 2


@pytest.mark.parametrize(("change", "pattern"), [
    ({"y_test": None}, "expected an array y_test"),
    ({"x_train": GREY["x_train"].astype(np.float32)}, "x_train: expected uint8.*found float32"),
    ({"x_train": GREY["x_train"].reshape(7, 20)}, r"x_train: expected uint8 of shape \(7, 4, 5\).*\(7, 20\)"),
    ({"y_train": GREY["y_train"][::-1]}, "expected the content SHA-256"),
    ({"y_train": GREY["y_train"].astype(object)}, "Object arrays cannot be loaded"),
])
def test_wrong_arrays_are_named(world, cache, change, pattern):
    put(cache, "grey", **{k: v for k, v in (GREY | change).items() if v is not None})
    with pytest.raises(DataError, match=f"grey.npz.*{pattern}.*Remove"):
        data.load("grey")


def test_a_file_that_is_no_npz(world, cache):
    path = put(cache, "grey", **GREY)
    for content in (b"", b"not an archive", path.read_bytes()[:200]):
        path.write_bytes(content)
        with pytest.raises(DataError, match="readable .npz"):
            data.load("grey")
    with open(path, "wb") as file:
        np.save(file, GREY["x_train"])
    with pytest.raises(DataError, match="readable .npz"):
        data.load("grey")


# --- formats and values -------------------------------------------------------------------------------------

def test_idx_plain_or_gzipped_and_every_truncation(tmp_path):
    path, raw = tmp_path / "images", idx_bytes(GREY["x_test"])
    for whole in (raw, gzip.compress(raw)):
        path.write_bytes(whole)
        assert np.array_equal(data.read_idx(path), GREY["x_test"])
        for cut in range(len(whole)):
            path.write_bytes(whole[:cut])
            with pytest.raises(DataError, match="images: expected"):
                data.read_idx(path)
    for wrong in (raw + b"\0", b"\0\0\x0d" + raw[3:], b"\0\0\x08\0", raw[:4] + raw[4:8][::-1] + raw[8:]):
        path.write_bytes(wrong)
        with pytest.raises(DataError, match="images: expected"):
            data.read_idx(path)


def test_cifar10_records_must_be_whole(tmp_path):
    path = tmp_path / ARCHIVE
    path.write_bytes(cifar_bytes(COLOUR | {"x_test": COLOUR["x_test"][:, :31]}))
    with pytest.raises(DataError, match="test_batch.bin: expected records of 3073 bytes"):
        data.read_cifar10(path)


@pytest.mark.parametrize(("change", "pattern"), [
    ({"x_train": GREY["x_train"].astype(float)}, "x_train: expected a NumPy array of uint8, found float64"),
    ({"x_train": GREY["x_train"].tolist()}, "found list"),
    ({"y_train": GREY["y_train"][:-1]}, "one label for each of 7 images"),
    ({"y_test": np.array([0, 1, 10], np.uint8)}, "labels below 10, found 10"),
    ({"x_test": GREY["x_test"][:, :3]}, "x_test: expected images of"),
    ({"x_test": GREY["x_test"][..., None]}, r"\(n, h, w, 3\)"),
    ({"maximum": 16}, "intensities up to 16"),
])
def test_image_data_is_validated(change, pattern):
    assert same(ImageData("grey", **GREY), GREY)
    with pytest.raises(DomainError, match=pattern):
        ImageData(**({"name": "grey"} | GREY | change))


def test_unknown_names_are_refused_everywhere():
    for function in (data.load, data.at_hand, data.locate, data.describe):
        with pytest.raises(DataError, match="no data set 'mnits'.*fashion_mnist"):
            function("mnits")


def test_importing_the_data_layer_needs_only_the_core():
    code = ("import sys, mixtheory.training.data; "
            "print(sorted({'pooch', 'requests', 'sklearn', 'tqdm'} & set(sys.modules)))")
    out = subprocess.run([sys.executable, "-c", code], cwd=Path(data.__file__).parents[2],
                         capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


@pytest.mark.parametrize("name", [name for name in data.NAMES if name != "digits"])
def test_the_real_data_where_at_hand(name):
    if not data.at_hand(name):
        pytest.skip(f"{name} is not at hand")
    found, spec = data.load(name, download=False), data.SPECS[name]
    assert found.x_train.shape == (spec.train, *spec.shape)
    assert np.array_equal(np.unique(found.y_test), np.arange(found.classes))
    assert found.x_train.max() == found.maximum
    assert "verified" in data.describe(name)
