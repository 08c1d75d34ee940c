"""Images on the device: standardised by the training part, cropped and mirrored as by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from mixtheory.domain import DomainError
from mixtheory.training import data
from mixtheory.training.inputs import CROP, Split, crop_flip, padded, split


@pytest.mark.parametrize("colour", [(), (3,)], ids=["grey", "colour"])
def test_split_standardises_by_the_training_part(monkeypatch, colour):
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 200, (n, 6, 5, *colour), dtype=np.uint8) for n in (40, 9))
    labels = np.arange(40, dtype=np.uint8) % 7
    found = data.ImageData("grey", train, labels, test, labels[:9], classes=7, maximum=255)
    monkeypatch.setattr(data, "load", lambda name: found)
    for keep in (None, 25):
        part = split("grey", dtype=torch.float64, train=keep, test=8)
        raw = train[:keep].reshape(-1, 30, *colour or (1,)) / 255
        mean, sd = raw.mean((0, 1)), raw.std((0, 1), ddof=1)
        x, x_test = part.x.flatten(2).mT.numpy(), part.x_test.flatten(2).mT.numpy()
        assert np.allclose(x.mean((0, 1)), 0, atol=1e-12)
        assert np.allclose(x.std((0, 1), ddof=1), 1)
        assert np.allclose(x * sd + mean, raw)
        assert np.allclose(x_test * sd + mean, test[:8].reshape(-1, 30, *colour or (1,)) / 255)
        assert abs(x_test.mean()) > 1e-4                        # not by its own mean
        assert np.allclose(part.black[:, 0, 0].numpy() * sd + mean, 0, atol=1e-12)
        assert part.y.tolist() == [i % 7 for i in range(keep or 40)]
        assert (part.x.shape[1:], part.y.dtype, part.classes) == ((len(colour) and 3 or 1, 6, 5), torch.int64, 7)


def test_split_of_digits():
    part = split("digits")
    assert (part.x.shape, part.x_test.shape, part.x.dtype) == ((1497, 1, 8, 8), (300, 1, 8, 8), torch.float32)
    assert abs(float(part.x.double().mean())) < 1e-6
    assert float(part.x.double().std()) == pytest.approx(1, rel=1e-5)
    for asked, message in (({"train": 1498}, "1497"), ({"test": 301}, "300"), ({"train": 0}, "train"),
                           ({"test": 1.5}, "test")):
        with pytest.raises(DomainError, match=message):
            split("digits", **asked)


def some(channels=2, h=5, w=7, n=6):
    rng = torch.Generator().manual_seed(0)
    x = torch.randn(n, channels, h, w, generator=rng)
    black = torch.arange(channels).view(-1, 1, 1) - 0.3
    return Split(x, torch.zeros(n, dtype=torch.long), x, torch.zeros(n, dtype=torch.long), 3, black)


def test_the_border_is_black():
    images = some()
    found = padded(images)
    assert found.shape == (6, 2, 5 + 2 * CROP, 7 + 2 * CROP)
    inside = torch.zeros(found.shape[2:], dtype=torch.bool)
    inside[CROP:-CROP, CROP:-CROP] = True
    assert torch.allclose(found[:, :, inside].view_as(images.x), images.x, atol=1e-6)
    assert torch.equal(found[:, :, ~inside], images.black.flatten(1).expand(6, 2, int((~inside).sum())))
    assert images.x is not found


def test_crops_as_by_hand():
    images = padded(some())
    rng = np.random.default_rng(1)
    index, top, left, flip = (torch.as_tensor(rng.integers(k, size=50)) for k in (6, 9, 9, 2))
    found = crop_flip(images, index, top, left, flip.bool())
    assert found.shape == (50, 2, 5, 7)
    assert found.is_contiguous()
    for b in range(50):
        i, t, s = int(index[b]), int(top[b]), int(left[b])
        expected = images[i, :, t:t + 5, s:s + 7].numpy()
        expected = expected[:, :, ::-1] if flip[b] else expected
        assert np.array_equal(found[b].numpy(), expected)
        assert not flip[b] or not np.array_equal(found[b].numpy(), expected[:, :, ::-1])
    middle = torch.full((6,), CROP)
    assert torch.allclose(crop_flip(images, torch.arange(6), middle, middle, middle < 0), some().x, atol=1e-6)
