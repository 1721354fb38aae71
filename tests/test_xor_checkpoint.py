"""Networks saved and read back; files of the right form with wrong content."""

import pytest
import torch

from xor.checkpoint import content, load
from xor.history import History
from xor.model import hand_set, random_networks
from xor.results import result_lines, summary
from xor.tasks import XorError, grid


def test_two_lines_load_and_explain(tmp_path):
    model = random_networks([4, 5, 6], 4, 3)
    torch.save(content(History(model, *grid(3), [4, 5, 6]), 1), tmp_path / "model.pt")
    saved = load(tmp_path / "model.pt")
    assert (saved.size, saved.seeds, saved.shown) == (3, [4, 5, 6], 1)
    inputs, _ = grid(3)
    assert torch.equal(saved.model(inputs), model(inputs))
    assert torch.equal(saved.network.hid_weight[0], model.hid_weight[1])
    found = summary(saved.history)
    assert found["seed"] == 5 and found["weights"]["hid_bias"] == model.hid_bias[1].tolist()
    assert "Final Weights:" in result_lines(found)


def test_steps_come_back_as_steps(tmp_path):
    torch.save(content(History(hand_set(3), *grid(3)), 0), tmp_path / "model.pt")
    found = summary(load(tmp_path / "model.pt").history)
    assert found["accuracy"] == 100 and found["activation"] == "step"


def test_what_is_no_checkpoint_is_one_line_that_names_the_file(tmp_path):
    whole = content(History(random_networks([1, 2], 4, 3), *grid(3), [1, 2]), 0)
    torch.save(whole, tmp_path / "whole.pt")
    (tmp_path / "part.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:900])
    (tmp_path / "text.pt").write_text("hello")
    weights = {**whole["model"], "out_weight": torch.zeros(2, 4).to_sparse()}
    changes = {"act": "relu", "shown": 2, "model": weights, "more": 1}
    others = {name: whole | {name: value} for name, value in changes.items()}
    others |= {"list": [1, 2], "empty": {"model": {}}}
    for name, other in others.items():
        torch.save(other, tmp_path / f"{name}.pt")
    for name in ("part", "text", "missing", *others):
        with pytest.raises(XorError, match=f"{name}.pt") as caught:
            load(tmp_path / f"{name}.pt")
        assert "\n" not in str(caught.value)
    with pytest.raises(XorError):
        load(tmp_path)
