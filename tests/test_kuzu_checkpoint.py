"""Checkpoints of classifiers: what is saved is loaded; a wrong content is named in one line."""

import copy
import os
import pickle
from dataclasses import replace

import pytest
import torch

from kuzu import checkpoint
from kuzu.checkpoint import CheckpointError, check_options, load
from kuzu.data import load_kana
from kuzu.recipes import CLASSIC, TUNED
from kuzu.train import evaluate, train


@pytest.fixture(scope="module")
def data():
    return load_kana(100, 50)


def trained(net, recipe, data, n_hidden=20):
    network = checkpoint.new(net, n_hidden, 3, data, recipe)
    for epoch in train(network.model, data, recipe, 3):
        network.record(epoch)
    return network


@pytest.fixture(scope="module")
def contents(data):
    """What checkpoints hold: a NetFull by SGD, a NetFull by AdamW, a NetConv with batch norm."""
    short = {"epochs": 2, "evaluate_every": 1}
    return {
        "full": trained("full", replace(CLASSIC, epochs=2), data).content(),
        "adamw": trained("full", replace(TUNED["full"], **short), data).content(),
        "conv": trained("conv", replace(TUNED["conv"], **short), data).content(),
    }


def saved(folder, content):
    path = folder / "model.pt"
    torch.save(content, path)
    return path


@pytest.mark.parametrize("name", ["full", "adamw", "conv"])
def test_what_is_saved_is_loaded(contents, name, data, tmp_path):
    content = contents[name]
    network = load(saved(tmp_path, content))
    assert network.recipe == checkpoint.Recipe(**content["recipe"])
    again = network.content()
    for key in ("net", "n_hidden", "seed", "epoch", "data", "history", "recipe"):
        assert again[key] == content[key]
    for key in ("model", "optimizer"):
        assert again[key].keys() == content[key].keys()
        assert all(torch.equal(again[key][k], content[key][k]) for k in content[key])
    test = evaluate(network.model, data.test_images, data.test_labels)
    assert test.loss == pytest.approx(content["history"][-1]["test_loss"], rel=1e-5)


def test_an_interrupted_epoch_leaves_no_trace(data):
    """Ctrl-C may come after some updates of an epoch whose record never came."""
    recipe = replace(CLASSIC, epochs=3)
    network = checkpoint.new("lin", 100, 0, data, recipe)
    lost = {}

    def interrupt(epoch, seen, loss):
        if epoch == 3:
            lost.update(copy.deepcopy(network.model.state_dict()))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        for epoch in train(network.model, data, recipe, report=interrupt):
            network.record(epoch)
    network.rewind()
    assert network.epoch == 2
    whole = checkpoint.new("lin", 100, 0, data, recipe)
    for epoch in train(whole.model, data, replace(recipe, epochs=2)):
        whole.record(epoch)
    for name, weight in whole.model.state_dict().items():
        assert torch.equal(network.content()["model"][name], weight)
        assert torch.equal(network.model.state_dict()[name], weight)
        assert torch.equal(network.state[name], whole.state[name])
        assert not torch.equal(lost[name], weight)


def test_a_file_that_may_not_be_read_is_not_called_damaged(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(13, "Permission denied", "model.pt")

    (tmp_path / "model.pt").touch()
    monkeypatch.setattr(torch, "load", refuse)
    with pytest.raises(PermissionError):
        checkpoint.load(tmp_path / "model.pt")


def put(*places_and_value):
    """A change of a content: put(key, ..., value)."""

    def change(content):
        *places, last, value = places_and_value
        for place in places:
            content = content[place]
        content[last] = value

    return change


def drop(*places):
    def change(content):
        for place in places[:-1]:
            content = content[place]
        del content[places[-1]]

    return change


NAN = torch.full((20,), torch.nan)
CORRUPTIONS = [
    *(drop(key) for key in checkpoint.TYPES),
    *(put(key, value) for key in checkpoint.TYPES for value in (None, 1.5, -1, [], {}, True)),
    *(put(key, "x") for key in checkpoint.TYPES if key != "data"),
    put("net", "conv"),
    put("net", "lin"),
    put("n_hidden", 21),
    put("sha256", 5),
    put("n_hidden", 10**12),
    put("n_hidden", 0),
    put("seed", 2**63),
    put("epoch", 3),
    put("recipe", "optimizer", "sgd" * 2),
    *(put("recipe", key, None) for key in ("name", "lr", "epochs", "batch_size", "nesterov")),
    *(put("recipe", "lr", value) for value in (float("nan"), float("inf"), -1.0, "0.1", [], True)),
    put("recipe", "momentum", 1),
    put("recipe", "epochs", 1.5),
    put("recipe", "batch_size", 0),
    put("recipe", "warm_up", 1.0),
    put("recipe", "unknown", 1),
    put("recipe", 3, 1),
    drop("model", "output.bias"),
    put("model", "more", torch.zeros(1)),
    put("model", "hidden.bias", None),
    put("model", "hidden.bias", NAN),
    put("model", "hidden.bias", torch.zeros(21)),
    put("model", "hidden.bias", torch.zeros(20, dtype=torch.float16)),
    put("model", "hidden.bias", torch.zeros(20, dtype=torch.complex64)),
    put("model", "hidden.bias", torch.zeros(20).to_sparse()),
    put("model", "hidden.bias", torch.zeros(1).expand(20)),
    put("model", "hidden.bias", torch.zeros(20, device="meta")),
    put("model", "hidden.weight", torch.zeros(20, 783)),
    put("model", 7, torch.zeros(20)),
    drop("optimizer", "hidden.bias"),
    put("optimizer", "hidden.bias", NAN),
    put("optimizer", "hidden.bias", torch.zeros(3)),
    put("optimizer", "hidden.bias.square", torch.zeros(21)),
    put("history", []),
    put("history", 0, {}),
    put("history", 0, None),
    put("history", 1, "epoch", 1),
    put("history", 1, "epoch", 1.5),
    put("history", 1, "test_loss", float("nan")),
    put("history", 1, "test_loss", "0.1"),
    put("history", 1, "seconds", 10**400),
    put("recipe", "lr", 10**400),
    put("history", 1, "seconds", torch.zeros(2)),
]
OF_CONV = [
    put("recipe", "augmentation", 3),
    put("recipe", "augmentation", "abc"),
    put("recipe", "augmentation", "elastic", float("inf")),
    put("recipe", "augmentation", "control_points", 10**9),
    put("recipe", "augmentation", "more", 1),
    put("recipe", "batch_norm", False),
    drop("optimizer", "training.gain.conv1"),
    put("optimizer", "training.gain.conv1", torch.zeros(31)),
    put("net", "full"),
]


@pytest.mark.parametrize(
    ("name", "change"),
    [
        *(("full", change) for change in CORRUPTIONS),
        *(("conv", change) for change in OF_CONV),
        ("adamw", drop("optimizer", "hidden.bias.square")),
        ("full", put("recipe", "optimizer", "adamw")),
    ],
)
def test_wrong_contents_end_in_one_line(contents, name, change, tmp_path):
    content = copy.deepcopy(contents[name])
    change(content)
    path = saved(tmp_path, content)
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


class Code:
    def __reduce__(self):
        return (os.system, ("touch planted",))


@pytest.mark.parametrize("content", [None, [], 3, torch.zeros(3), {}, {"model": {}}, Code()])
def test_other_contents(content, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = saved(tmp_path, content)
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load(path)
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(CheckpointError, match="not a checkpoint"):
        load(path)
    assert not (tmp_path / "planted").exists()


def test_other_files(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "text").write_text("no checkpoint")
    (tmp_path / "empty").write_text("")
    for name in ("fifo", "text", "empty", "missing.pt", "."):
        with pytest.raises(CheckpointError, match="checkpoint"):
            load(tmp_path / name)


def test_options_that_contradict_a_checkpoint(contents, tmp_path):
    none = dict.fromkeys(
        ("epochs", "lr", "momentum", "batch_size", "net", "n_hidden", "recipe", "seed")
    )
    network = load(saved(tmp_path, contents["full"]))
    check_options(network, {**none, "net": "full", "n_hidden": 20, "lr": 0.01}, resume=False)
    for option, value in (
        ("net", "conv"),
        ("n_hidden", 21),
        ("epochs", 5),
        ("lr", 0.1),
        ("momentum", 0.9),
        ("recipe", "tuned"),
        ("seed", 4),
    ):
        with pytest.raises(CheckpointError, match=f"{option} is .*, not {value}"):
            check_options(network, {**none, option: value}, resume=False)
    with pytest.raises(CheckpointError, match="2 epochs already"):
        check_options(network, dict(none), resume=True)
    check_options(network, {**none, "epochs": 5}, resume=True)
    assert network.recipe.epochs == 5
    conv = load(saved(tmp_path, contents["conv"]))
    with pytest.raises(CheckpointError, match="n_hidden is none, not 77"):  # NetFull's alone
        check_options(conv, {**none, "n_hidden": 77}, resume=False)
