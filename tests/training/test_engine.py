"""Replicas trained together are the networks trained one by one, bit by bit; and what would break that is seen."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from mixtheory.domain import DomainError
from mixtheory.pairing import PAIRINGS, SHARINGS
from mixtheory.training import engine, models, recipes
from mixtheory.training.arms import ERM, Arm, block_of
from mixtheory.training.engine import train
from mixtheory.training.inputs import Split
from mixtheory.training.models import cnn, linear, mlp, preact_resnet18
from mixtheory.training.plain import train_plain
from mixtheory.training.recipes import LOSSES, Recipe

ARMS = [Arm(1.0, pairing, sharing) for pairing, sharing in itertools.product(PAIRINGS, SHARINGS)
        if sharing != "pair" or pairing == "flip"] + [
    ERM, Arm(0.2, "roll", "element", folded=True), Arm(smoothing=0.1), Arm(0.4, smoothing=0.2),
    Arm(2.0, "derangement", "element", anneal="linear"), Arm(float("inf"), "flip")]
BITS = torch.backends.mkl.is_available()        # other libraries may sum in another order
SGD = Recipe(epochs=2, batch=32, rate=0.1)
RECIPES = {
    "plain": replace(SGD, momentum=0.0),
    "nesterov, coupled, cosine": replace(SGD, nesterov=True, decay=1e-2, schedule="cosine"),
    "decoupled, one-cycle": replace(SGD, decay=1e-2, decoupled=True, schedule="one-cycle", epochs=3),
    "adamw": replace(SGD, optimizer="adamw", decay=0.1, rate=0.01),
    "squared": replace(SGD, loss="squared", rate=0.02),
    "augment": replace(SGD, augment=True)}


@pytest.fixture(autouse=True)
def one_thread():
    """With more, a product of matrices is summed in another order by itself than in a batch."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def examples(n=100, shape=(1, 4, 4), classes=10, seed=0, device="cpu"):
    rng = torch.Generator().manual_seed(seed)
    x, y = torch.randn(n + 20, *shape, generator=rng), torch.randint(classes, (n + 20,), generator=rng)
    black = torch.full((shape[0], 1, 1), -0.7)
    return Split(*(t.to(device) for t in (x[:n], y[:n], x[n:], y[n:])), classes, black.to(device))


def differences(trained, data, members=None):
    """Largest difference of each replica's state from that of the network trained by itself, relative."""
    found = []
    for (a, arm), (k, seed) in itertools.product(enumerate(trained.arms), enumerate(trained.seeds)):
        r = trained.replica(a, k)
        own = train_plain(trained.model, data, arm=arm, seed=seed, recipe=trained.recipe,
                          members=None if members is None else members[r]).state_dict()
        mine = trained.module(r).state_dict()
        assert list(mine) == list(own)
        found.append(max(float((mine[name] - own[name]).abs().max() / own[name].abs().max().clamp(min=1))
                         for name in own))
    return found


def agree(trained, data, members=None, within=0.0):
    loose = {torch.float64: 1e-11, torch.float32: 1e-4}[trained.recipe.dtype]
    found = differences(trained, data, members)
    assert max(found) <= (within if within or BITS else loose)     # false if any is NaN, too
    return True


@pytest.mark.parametrize("precision", ["float32", "float64"])
@pytest.mark.parametrize("recipe", RECIPES.values(), ids=RECIPES)
def test_bit_by_bit(recipe, precision):
    data = examples()
    for model, arms in ((mlp(32), ARMS), (mlp(16, 32, norm=True), ARMS[::4]), (linear(), ARMS[::6])):
        assert agree(train(model, data, arms=arms, seeds=[3, 11], recipe=replace(recipe, precision=precision)), data)


@pytest.mark.parametrize("seeds", [[4], [4, 9], [4, 9, 1]])
def test_odd_sizes_agree_to_rounding(seeds):
    """Widths and batches that fill no vector register: the order of summation differs, by 1e-16 a step."""
    data, recipe = examples(40, (1, 1, 7), 3), replace(SGD, batch=7, precision="float64", rate=0.02)
    assert agree(train(mlp(5, 33), data, arms=[Arm(1.0), ERM], seeds=seeds, recipe=recipe), data, within=1e-12)
    assert agree(train(mlp(5, norm=True), data, arms=[Arm(1.0), ERM], seeds=seeds, recipe=recipe), data, within=1e-9)


@pytest.mark.parametrize("model", [cnn(3), cnn(2, norm=False), preact_resnet18(2)], ids=lambda model: model.name)
def test_convolutions_agree_to_rounding(model):
    data, recipe = examples(17, (3, 8, 8), 4), replace(SGD, batch=8, precision="float64", augment=True)
    assert agree(train(model, data, arms=[ERM, Arm(1.0)], seeds=[0, 5], recipe=recipe), data, within=1e-9)


def test_subsets_of_the_examples():
    data = examples()
    members = torch.stack([torch.randperm(100, generator=torch.Generator().manual_seed(r))[:64] for r in range(4)])
    trained = train(mlp(32), data, arms=[ERM, Arm(1.0)], seeds=[0, 1], recipe=SGD, members=members)
    assert agree(trained, data, members)
    assert min(differences(trained, data, members.flip(0))) > 1e-3


@pytest.mark.parametrize("recipe", [RECIPES["nesterov, coupled, cosine"], RECIPES["adamw"]], ids=["sgd", "adamw"])
def test_adding_a_replica_changes_no_other(recipe):
    data, model = examples(), mlp(32, norm=True)
    alone = train(model, data, arms=[Arm(1.0)], seeds=[7, 8], recipe=recipe)
    for arms, seeds in (([Arm(1.0)], [7, 8, 9]), ([ERM, Arm(0.3), Arm(1.0)], [8, 2, 7]),
                        ([Arm(1.0), ERM], [7, 8, *range(20, 50)])):
        more = train(model, data, arms=arms, seeds=seeds, recipe=recipe)
        for k, seed in enumerate(alone.seeds):
            r = more.replica(arms.index(Arm(1.0)), seeds.index(seed))
            assert torch.equal(more.history["loss"][:, r], alone.history["loss"][:, k])
            for name, value in alone.module(k).state_dict().items():
                assert torch.equal(more.module(r).state_dict()[name], value) or not BITS


# --- wrong versions -----------------------------------------------------------------------------------------

def shared_lambda(monkeypatch):
    right = engine.draw
    monkeypatch.setattr(engine, "draw", lambda *a, **k: (d := right(*a, **k))._replace(
        lam=d.lam[:, :1].expand_as(d.lam)))


def shared_order(monkeypatch):
    right = engine.draw
    monkeypatch.setattr(engine, "draw", lambda *a, **k: (d := right(*a, **k))._replace(
        example=d.example[:, :1].expand_as(d.example)))


def partners_of_others(monkeypatch):
    right = engine.draw
    monkeypatch.setattr(engine, "draw", lambda *a, **k: (d := right(*a, **k))._replace(partner=d.partner.roll(1, 1)))


def one_statistic(monkeypatch):
    def forward(self, x):
        weight, bias = self.weight[:, None], self.bias[:, None]
        var, mean = torch.var_mean(x, (0, 1), correction=0)
        return (x - mean) / (var + models.EPS).sqrt() * weight + bias
    monkeypatch.setattr(models._NormRows, "forward", forward)


def summed_over_examples(monkeypatch):
    monkeypatch.setitem(LOSSES, "cross-entropy", lambda z, y, right=LOSSES["cross-entropy"]: right(z, y) * len(z))


@pytest.mark.parametrize("wrong", [shared_lambda, shared_order, partners_of_others, one_statistic,
                                   summed_over_examples])
def test_a_wrong_engine_is_seen(monkeypatch, wrong):
    data = examples()
    with monkeypatch.context() as patch:
        wrong(patch)
        trained = train(mlp(32, norm=True), data, arms=[Arm(1.0)], seeds=[0, 1],
                        recipe=replace(SGD, precision="float64"))
    assert max(differences(trained, data)) > 1e-3


@pytest.mark.skipif(not BITS, reason="bits are compared")
def test_rounding_of_the_fused_optimiser_is_seen(monkeypatch):
    """It rounds the elements at the end of a tensor in another way, so that a replica depends on where it lies."""
    def fused(parameters, recipe, steps):
        return torch.optim.AdamW(parameters, lr=recipe.rate, weight_decay=recipe.decay, fused=True), None
    data, recipe = examples(), replace(RECIPES["adamw"], epochs=6)
    agree(train(mlp(32), data, arms=[Arm(1.0)], seeds=[0, 1, 2], recipe=recipe), data)
    monkeypatch.setattr(engine, "optimiser", fused)
    monkeypatch.setattr("mixtheory.training.plain.optimiser", fused)
    assert max(differences(train(mlp(32), data, arms=[Arm(1.0)], seeds=[0, 1, 2], recipe=recipe), data)) > 0


# --- optimisers and losses against their definitions --------------------------------------------------------

def by_hand(recipe, rates, w, gradients):
    """SGD and AdamW, written from their definitions."""
    u, m, v = w * 0, w * 0, w * 0
    for t, (rate, g) in enumerate(zip(rates, gradients, strict=True), 1):
        if recipe.optimizer == "adamw":
            m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
            w = w * (1 - rate * recipe.decay) - rate * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
            continue
        g = g if recipe.decoupled else g + recipe.decay * w
        w = w * (1 - rate * recipe.decay) if recipe.decoupled else w
        u = recipe.momentum * u + g
        w = w - rate * (g + recipe.momentum * u if recipe.nesterov else u)
    return w


@pytest.mark.parametrize("recipe", [
    Recipe(1, 2, 0.3, decay=0.1), Recipe(1, 2, 0.3, decay=0.1, decoupled=True, schedule="cosine"),
    Recipe(1, 2, 0.3, momentum=0.0, decay=0.1), Recipe(1, 2, 0.3, nesterov=True, momentum=0.7),
    Recipe(1, 2, 0.3, optimizer="adamw", decay=0.2, schedule="cosine")], ids=str)
def test_optimisers_follow_their_definitions(recipe):
    steps, rng = 7, torch.Generator().manual_seed(1)
    start, gradients = (torch.randn(s, generator=rng, dtype=torch.float64) for s in ((3, 2), (steps, 3, 2)))
    parameter = torch.nn.Parameter(start.clone())
    optimizer, schedule = recipes.optimiser([parameter], recipe, steps)
    for g in gradients:
        parameter.grad = g.clone()
        optimizer.step()
        if schedule:
            schedule.step()
    t = torch.arange(steps, dtype=torch.float64)
    rates = recipe.rate * ((1 + torch.cos(torch.pi * t / steps)) / 2 if schedule else torch.ones_like(t))
    assert torch.allclose(parameter, by_hand(recipe, rates, start, gradients), rtol=1e-12)
    wrong = replace(recipe, decay=0.0) if recipe.decay else replace(recipe, nesterov=False)
    assert not torch.allclose(parameter, by_hand(wrong, rates, start, gradients), rtol=1e-3)


def test_one_cycle_rises_to_the_rate_and_falls_to_nothing():
    parameter = torch.nn.Parameter(torch.zeros(1))
    optimizer, schedule = recipes.optimiser([parameter], Recipe(1, 2, 0.4, schedule="one-cycle"), 50)
    rates = []
    for _ in range(50):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    assert max(rates) == pytest.approx(0.4) == rates[9]
    assert rates[0] < 0.02
    assert rates[-1] < 1e-4


def test_losses():
    z, y = torch.randn(3, 5, 4), torch.rand(3, 5, 4).softmax(-1)
    own = F.cross_entropy(z.flatten(0, 1), y.flatten(0, 1), reduction="none").view(3, 5)
    assert torch.allclose(LOSSES["cross-entropy"](z, y), own, rtol=1e-5)
    assert torch.allclose(LOSSES["squared"](z, y), F.mse_loss(z, y, reduction="none").sum(-1) / 2)


# --- what is told about a training --------------------------------------------------------------------------

def test_history_tells_the_loss_and_the_errors_of_the_last_epochs():
    data, recipe = examples(96), replace(SGD, rate=1e-12, epochs=3, precision="float64")
    trained = train(mlp(32), data, arms=[ERM, Arm(smoothing=0.3)], seeds=[1, 2], recipe=recipe, watch=2)
    z = trained.outputs_of(data.x)
    assert z.dtype == torch.float64
    loss = torch.stack([F.cross_entropy(z[r], data.y, label_smoothing=0.3 * (r > 1)) for r in range(4)])
    assert trained.history["loss"].shape == (3, 4)
    assert torch.allclose(trained.history["loss"], loss, rtol=1e-8)
    assert list(trained.history["error"]) == [2, 3]
    wrong = [(trained.module(r)(data.x_test.double()).argmax(1) != data.y_test).double().mean() for r in range(4)]
    assert torch.equal(trained.history["error"][3], torch.stack(wrong))


@pytest.mark.parametrize(("model", "shape"), [(mlp(8, norm=True), (1, 4, 4)), (cnn(2), (2, 5, 7))], ids=["mlp", "cnn"])
def test_a_module_gives_the_outputs_of_its_replica_however_they_are_split(monkeypatch, model, shape):
    data = examples(shape=shape)
    trained = train(model, data, arms=[ERM, Arm(1.0)], seeds=[0, 1], recipe=replace(SGD, precision="float64"))
    whole, errors = trained.outputs_of(data.x_test), trained.errors(data.x_test, data.y_test)
    rows = [trained.module(r)(data.x_test.double()).detach() for r in range(4)]
    assert torch.allclose(whole, torch.stack(rows), rtol=1e-10)
    assert not torch.allclose(whole[0], whole[1], rtol=1e-2)
    monkeypatch.setattr(engine, "ROWS", 4 * 3)
    seen = []
    trained.stacked.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0][0])))
    assert torch.allclose(trained.outputs_of(data.x_test), whole, rtol=1e-10)
    assert torch.equal(trained.errors(data.x_test, data.y_test), errors)
    assert set(seen) == {3, 2}                                  # 20 examples by threes: never all at once
    assert not trained.module(0).training
    with pytest.raises(DomainError, match="replica = 4"):
        trained.module(4)


def test_bfloat16_stays_near_float32():
    data = examples()
    for model in (mlp(32, norm=True), cnn(4)):
        both = [train(model, data, arms=[ERM, Arm(1.0)], seeds=[0, 1], recipe=replace(SGD, precision=precision))
                for precision in ("float32", "bfloat16")]
        loss = [trained.history["loss"] for trained in both]
        assert torch.allclose(*loss, rtol=0.02)
        assert not torch.equal(*loss)
        assert {p.dtype for p in both[1].stacked.parameters()} == {torch.float32}
        assert torch.allclose(*(t.outputs_of(data.x_test) for t in both), atol=0.2)


# --- checkpoints --------------------------------------------------------------------------------------------

class Killed(Exception):
    pass


def kill_at(epoch, lines=None):
    def progress(line):
        if lines is not None:
            lines.append(line)
        if line.startswith(f"epoch {epoch} "):
            raise Killed
    return progress


LONG = Recipe(epochs=9, batch=32, rate=0.05, optimizer="adamw", decay=0.1, schedule="one-cycle")
RUN = {"arms": (Arm(1.0, anneal="linear"), ERM), "seeds": (0, 1), "watch": 7}


@pytest.fixture
def short_blocks(monkeypatch):
    """Two epochs a block, as with many examples, and each block kept."""
    monkeypatch.setattr("mixtheory.training.checkpoints.EVERY", 0.0)
    for module in ("arms", "engine", "plain"):
        monkeypatch.setattr(f"mixtheory.training.{module}.block_of", lambda examples: 2)


@pytest.fixture
def killed(short_blocks, tmp_path):
    path = tmp_path / "folder" / "checkpoint"
    with pytest.raises(Killed):
        train(mlp(32, norm=True), examples(), recipe=LONG, **RUN, checkpoint=path, progress=kill_at(6))
    assert [file.name for file in path.parent.iterdir()] == ["checkpoint"]
    return path


def epochs_run(path, data=None, model=None, recipe=LONG, **changes):
    """How many epochs a run with the checkpoint still needed, and its result."""
    lines = []
    trained = train(model or mlp(32, norm=True), data or examples(), recipe=recipe, **RUN | changes, checkpoint=path,
                    progress=lines.append)
    return len(lines), trained


@pytest.mark.parametrize("recipe", [LONG, replace(RECIPES["nesterov, coupled, cosine"], epochs=9)], ids=["a", "s"])
def test_a_killed_training_goes_on_bit_by_bit(short_blocks, tmp_path, recipe):
    whole = train(mlp(32, norm=True), examples(), recipe=recipe, **RUN)
    path = tmp_path / "checkpoint"
    for epoch in (4, 6):                                        # killed in the middle of a block, twice
        with pytest.raises(Killed):
            train(mlp(32, norm=True), examples(), recipe=recipe, **RUN, checkpoint=path, progress=kill_at(epoch))
    count, resumed = epochs_run(path, recipe=recipe)
    assert count == 5
    assert torch.equal(resumed.history["loss"], whole.history["loss"])
    assert list(resumed.history["error"]) == list(whole.history["error"]) == [3, 4, 5, 6, 7, 8, 9]
    for e, error in whole.history["error"].items():
        assert torch.equal(resumed.history["error"][e], error)
    for name, value in whole.stacked.state_dict().items():
        assert torch.equal(resumed.stacked.state_dict()[name], value)
    assert not path.exists()


def test_checkpoints_are_kept_now_and_then_only(short_blocks, tmp_path, monkeypatch):
    monkeypatch.setattr("mixtheory.training.checkpoints.EVERY", 1e6)
    path = tmp_path / "checkpoint"
    with pytest.raises(Killed):
        train(mlp(32, norm=True), examples(), recipe=LONG, **RUN, checkpoint=path, progress=kill_at(6))
    assert not path.exists()


@pytest.mark.parametrize("damage", [
    lambda raw: raw[:-100], lambda raw: raw[:40], lambda raw: b"", lambda raw: b"nonsense",
    lambda raw: raw[:len(raw) // 2] + bytes([raw[len(raw) // 2] ^ 1]) + raw[len(raw) // 2 + 1:]],
    ids=["truncated", "header", "empty", "nonsense", "one bit"])
def test_a_damaged_checkpoint_is_not_used(killed, damage):
    killed.write_bytes(damage(killed.read_bytes()))
    assert epochs_run(killed)[0] == 9


def test_a_checkpoint_of_another_training_is_not_used(killed):
    kept, data = killed.read_bytes(), examples()
    brighter = data._replace(x=data.x + 1e-3)
    for changes in ({"recipe": replace(LONG, rate=0.06)}, {"seeds": (0, 2)}, {"arms": (ERM, Arm(1.0))}, {"watch": 6},
                    {"model": mlp(16, norm=True)}, {"data": brighter},
                    {"members": torch.arange(99).expand(4, -1)}):
        killed.write_bytes(kept)
        assert epochs_run(killed, **changes)[0] == 9, changes
    killed.write_bytes(kept)
    assert epochs_run(killed)[0] == 5


# --- domains ------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("changes", "message"), [
    ({"epochs": 0}, "epochs"), ({"batch": 1}, "batch"), ({"rate": 0.0}, "rate"), ({"rate": float("nan")}, "rate"),
    ({"optimizer": "adam"}, "optimizer"), ({"schedule": "step"}, "schedule"), ({"loss": "hinge"}, "loss"),
    ({"precision": "float16"}, "precision"), ({"momentum": 1.0}, "momentum"), ({"momentum": float("nan")}, "momentum"),
    ({"decay": -0.1}, "decay"), ({"decay": float("inf")}, "decay"), ({"nesterov": True, "momentum": 0.0}, "nesterov"),
    ({"nesterov": True, "optimizer": "adamw"}, "nesterov")])
def test_recipes_outside_their_domain(changes, message):
    with pytest.raises(DomainError, match=message):
        replace(SGD, **changes)


@pytest.mark.parametrize(("changes", "message"), [
    ({"arms": []}, "at least one arm"), ({"seeds": []}, "seeds"), ({"seeds": [1, 1]}, "different seeds"),
    ({"seeds": [-1]}, "seeds = -1"), ({"seeds": [1 << 32]}, "2\\^32"), ({"watch": -1}, "watch"),
    ({"members": torch.arange(31)[None]}, "batch = 32"), ({"members": torch.arange(40)}, "members of shape"),
    ({"members": torch.arange(40).expand(2, -1)}, "must be \\(1, m\\)"),
    ({"members": torch.arange(70, 110)[None]}, "109"),
    ({"members": torch.arange(-1, 40)[None]}, "-1"), ({"members": torch.ones(1, 100, dtype=torch.bool)}, "torch.bool"),
    ({"recipe": replace(SGD, batch=101)}, "batch = 101"),
    ({"recipe": replace(SGD, batch=5), "arms": [Arm(1.0, "flip")]}, "even"),
    ({"recipe": replace(SGD, batch=50, schedule="one-cycle")}, "one-cycle")])
def test_trainings_outside_their_domain(changes, message):
    asked = {"arms": [ERM], "seeds": [0], "recipe": SGD} | changes
    with pytest.raises(DomainError, match=message):
        train(linear(), examples(), **asked)


# --- on a GPU -----------------------------------------------------------------------------------------------

@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
@pytest.mark.parametrize("precision", ["float32", "float64", "bfloat16"])
@pytest.mark.parametrize("model", [mlp(32, norm=True), cnn(4)], ids=["mlp", "cnn"])
def test_the_recorded_step_is_the_step(monkeypatch, model, precision):
    data = examples(shape=(1, 8, 8), device="cuda")
    recipe = replace(LONG, precision=precision, augment=True)
    asked = {"arms": [ERM, Arm(1.0)], "seeds": [0, 1], "recipe": recipe, "watch": 3}
    recorded = train(model, data, **asked)
    monkeypatch.setattr(engine, "_Recorded", lambda backward, stacked: backward)
    eager = train(model, data, **asked)
    close = {"float32": 1e-3, "float64": 1e-9, "bfloat16": 0.1}[precision]
    assert torch.allclose(recorded.history["loss"], eager.history["loss"], rtol=close)
    for name, value in eager.stacked.state_dict().items():
        assert torch.allclose(recorded.stacked.state_dict()[name], value, rtol=close, atol=close), name


def test_blocks_hold_whole_epochs():
    assert (block_of(100), block_of(1 << 14), block_of(60_000)) == (163, 1, 1)


# --- real targets, and the state of the world ---------------------------------------------------------------

def test_real_targets_are_mixed_and_fitted_as_by_the_plain_trainer():
    data = examples()
    rng = torch.Generator().manual_seed(5)
    y, y_test = (torch.randn(len(part), 16, generator=rng, dtype=data.x.dtype) for part in (data.y, data.y_test))
    data = data._replace(y=y, y_test=y_test, classes=16)
    recipe = Recipe(epochs=2, batch=32, rate=0.01, loss="squared", precision="float64", decay=0.01)
    arms = (ERM, Arm(1.0, "roll", "element"))
    trained = train(linear(), data, arms=arms, seeds=(0, 3), recipe=recipe)
    for a, arm in enumerate(arms):
        alone = train_plain(linear(), data, arm=arm, seed=3, recipe=recipe)
        for one, other in zip(alone.parameters(), trained.module(trained.replica(a, 1)).parameters(), strict=True):
            assert torch.allclose(one, other, rtol=0, atol=1e-13)
    assert not torch.allclose(*(trained.module(trained.replica(a, 1))[-1].weight for a in (0, 1)), atol=1e-3)
    for wrong in ({"recipe": replace(recipe, loss="cross-entropy")}, {"watch": 1}, {"arms": [Arm(smoothing=0.1)]}):
        with pytest.raises(DomainError, match="real targets"):
            train(linear(), data, **{"arms": arms, "seeds": (0,), "recipe": recipe} | wrong)


def test_training_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    trained = train(mlp(16), examples(), arms=[Arm(1.0)], seeds=(0, 1), recipe=Recipe(epochs=1, batch=32, rate=0.1))
    trained.module(1)
    assert torch.equal(torch.get_rng_state(), before)
