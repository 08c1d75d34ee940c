"""The headline experiment, as a miniature of itself: the same code path on tiny networks."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from mixtheory.evidence import claims
from mixtheory.evidence.record import Record
from mixtheory.theory.covariance_batch import batch_factor
from mixtheory.training import data, experiments
from mixtheory.training.experiments import headline, headline_arms
from mixtheory.training.experiments._networks import UNITS, Depth
from mixtheory.training.models import mlp, preact_resnet18
from mixtheory.training.recipes import Recipe

RECIPE = Recipe(epochs=2, batch=32, rate=0.05, schedule="cosine", decay=1e-4)
DEPTH = Depth(networks=2, batches=4, batch=16, examples=24, probes=2, pairs=8, cells=8)
MINIATURE = {
    "resnet": headline.Group(preact_resnet18(2), dataclasses.replace(RECIPE, augment=True), DEPTH, apart=True,
                             seeds=(0, 1), train=96, test=64),
    "shadows": headline.Group(mlp(16), dataclasses.replace(RECIPE, epochs=6), Depth(networks=0), halves=True,
                              train=200, test=100)}


@pytest.fixture(scope="module", params=["digits", "fashion_mnist"])
def miniature(request):
    name = request.param
    if name != "digits" and not data.at_hand(name):
        pytest.skip(f"{name} is not at hand")
    torch.set_num_threads(1)
    size = {name: MINIATURE}
    found = {piece: headline.measure_piece(piece, name, size=size, device="cpu", seeds=range(16))
             for piece in headline.pieces(name, size)}
    return name, size, found, headline.conclude(name, size=size, seeds=range(16), found=found)


def test_the_first_pair_comes_first():
    names = headline.pieces("digits", {"digits": MINIATURE})
    assert names == ("resnet,ERM,0", "resnet,mixup,0", "resnet,ERM,1", "resnet,mixup,1", "shadows")


def test_every_scale_has_every_data_set_and_few_pieces():
    for scale, size in headline.SIZES.items():
        for dataset in headline.DATASETS:
            assert 1 <= len(headline.pieces(dataset, size)) <= 8, (scale, dataset)


def test_arms_share_everything_but_the_arm():
    """Equal epochs, schedule and tuning: a group has one recipe, and the primary arms are the reference code's."""
    for size in headline.SIZES.values():
        for groups in size.values():
            for group in groups.values():
                assert isinstance(group.recipe, Recipe)
                assert set(headline.PRIMARY) <= set(group.arms) <= set(headline.ARMS)
                assert group.recipe.epochs >= headline.LAST
    assert headline.ARMS["ERM"].alpha == headline.ARMS["ERM"].smoothing == 0
    assert dataclasses.asdict(headline.ARMS["mixup"]) == {
        "alpha": 1.0, "pairing": "permutation", "sharing": "batch", "folded": False, "smoothing": 0.0,
        "anneal": "none"}


def test_the_gain_is_paired_and_in_percentage_points(miniature):
    _, _, found, (_, _, observations) = miniature
    gain = next(o for o in observations if o.name == "gain" and o.arm["networks"] == "resnet")
    by_hand = [100 * (found[f"resnet,ERM,{k}"]["ERM"]["error"][0] - found[f"resnet,mixup,{k}"]["mixup"]["error"][0])
               for k in (0, 1)]
    assert gain.values == pytest.approx(by_hand)
    shadows = next(o for o in observations if o.name == "gain" and o.arm["networks"] == "shadows")
    assert len(shadows.values) == 16


def test_every_number_has_a_unit_and_a_record_takes_it(miniature, tmp_path):
    name, _, _, (config, measurements, observations) = miniature
    assert {o.name for o in observations} <= set(UNITS) | {"gain", "gain_median"}
    assert all(math.isfinite(v) for o in observations for v in o.values)
    record = Record.create(experiment="headline", dataset=name, scale="full", device="cpu", config=config, seeds=(0, 1),
                           measurements=measurements, observations=observations, wall_seconds=1.0)
    assert Record.load(record.save(tmp_path)) == record


def test_everything_that_is_measured_reaches_the_record(miniature):
    """All measurements on the same networks: outputs, attacks, gradients, curvature, segments, batches."""
    _, _, _, (_, measurements, observations) = miniature
    seen = {o.name for o in observations if o.arm.get("networks") == "resnet"}
    wanted = set(UNITS) - {"hidden_factor", "lira_auc", "noise_scale", "noise_scale_mixed"}
    assert wanted <= seen, wanted - seen
    assert "lira_auc" in {o.name for o in observations if o.arm.get("networks") == "shadows"}
    (factor,) = measurements
    assert factor.claim in claims()
    assert factor.predicted == batch_factor(1.0, DEPTH.batch, "roll", "element")
    assert len(factor.values) == 4


def test_networks_trained_apart_are_those_trained_together():
    """A piece of its own gives the network that it would have been in a larger program."""
    group = dataclasses.replace(MINIATURE["resnet"], depth=Depth(networks=0), recipe=dataclasses.replace(
        MINIATURE["resnet"].recipe, epochs=8))
    both = headline.measure_piece("resnet", "digits", seeds=(0, 1), device="cpu",
                                  size={"digits": {"resnet": dataclasses.replace(group, apart=False)}})
    alone = headline.measure_piece("resnet,mixup,1", "digits", seeds=(0, 1), device="cpu",
                                   size={"digits": {"resnet": group}})
    for name in ("nll", "train_nll", "brier"):
        assert alone["mixup"][name][0] == pytest.approx(both["mixup"][name][1], rel=2e-5), name
        for other in (both["ERM"][name][1], both["mixup"][name][0]):        # another arm, another seed
            assert abs(alone["mixup"][name][0] / other - 1) > 2e-4, name


def test_halves_are_halves_and_belong_to_the_seed():
    cpu = torch.device("cpu")
    three, more = (headline._members(101, range(k), cpu, halves=True) for k in (3, 5))
    assert three.shape == (3, 50)
    assert torch.equal(three, more[:3])
    assert all(len(set(row.tolist())) == 50 for row in more)
    assert not torch.equal(more[0].sort().values, more[1].sort().values)


def test_it_is_an_experiment():
    assert "headline" in experiments.EXPERIMENTS
    assert experiments.pieces_of("headline", "cifar10", "full")[0] == "resnet,ERM,0"


def test_further_arms_share_the_recipe_but_for_what_they_are_about():
    decayed, smaller = (headline_arms.SIZES["full"]["cifar10"][name] for name in ("decayed", "resnet"))
    recipe = dataclasses.replace(headline.RESNET.recipe, decay=5e-4)
    assert decayed == dataclasses.replace(headline.RESNET, recipe=recipe)
    assert smaller == dataclasses.replace(headline.RESNET, arms=("mixup 0.2",))
    assert headline.RESNET.recipe.decay == 1e-4
    assert len(experiments.pieces_of("headline_arms", "cifar10", "full")) == 6


def test_further_arms_run_as_a_miniature():
    group = dataclasses.replace(MINIATURE["resnet"], depth=dataclasses.replace(DEPTH, networks=1))
    size = {"digits": {"decayed": group, "resnet": dataclasses.replace(group, arms=("mixup 0.2",))}}
    names = headline_arms.pieces("digits", size)
    assert names[-1] == "resnet,mixup_0.2,1"
    found = {name: headline_arms.measure_piece(name, "digits", size=size, device="cpu", seeds=()) for name in names}
    _, _, observations = headline_arms.conclude("digits", size=size, seeds=(0, 1), found=found)
    assert [o.arm["networks"] for o in observations if o.name == "gain"] == ["decayed"]
    assert len(next(o for o in observations if o.arm.get("arm") == "mixup 0.2" and o.name == "nll").values) == 2
