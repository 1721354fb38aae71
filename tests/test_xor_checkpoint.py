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


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"act": "relu"}, "sig nor step"),
        ({"act": torch.zeros(3)}, "sig nor step"),
        ({"size": 1}, "size"),
        ({"size": "3"}, "size"),
        ({"seeds": [1]}, "seeds of 2"),
        ({"seeds": 3}, "seeds of 2"),
        ({"seeds": ["a", "b"]}, "seeds"),
        ({"shown": 2}, "shown"),
        ({"shown": -1}, "shown"),
        ({"model": None}, "no weights"),
        ({"model": {}}, "float32"),
        ({"hid_weight": torch.zeros(2, 4, 3)}, "shape"),
        ({"hid_weight": torch.zeros(0, 4, 2)}, "shape"),
        ({"hid_weight": torch.zeros(8)}, "shape"),
        ({"hid_bias": torch.zeros(2, 5)}, "shape"),
        ({"out_bias": torch.zeros(2, 1)}, "shape"),
        ({"out_bias": torch.tensor([0, float("nan")])}, "not finite"),
        ({"out_weight": torch.zeros(2, 4).half()}, "float32"),
        ({"out_weight": torch.zeros(2, 4).double()}, "float32"),
        ({"out_weight": torch.zeros(2, 4, dtype=torch.long)}, "float32"),
        ({"out_weight": torch.zeros(2, 4).to_sparse()}, "holds no perceptrons"),
        ({"out_weight": torch.zeros(1).expand(10**9, 10**9)}, "cannot be read"),
        ({"out_weight": [1, 2]}, "float32"),
    ],
)
def test_wrong_content_is_one_line_that_names_the_file(change, words, tmp_path):
    whole = content(History(random_networks([1, 2], 4, 3), *grid(3), [1, 2]), 0)
    for name, value in change.items():
        (whole if name in whole else whole["model"])[name] = value
    torch.save(whole, tmp_path / "odd.pt")
    with pytest.raises(XorError, match=words) as caught:
        load(tmp_path / "odd.pt")
    assert "odd.pt" in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_no_checkpoint(tmp_path):
    torch.save(content(History(hand_set(2), *grid(2)), 0), tmp_path / "whole.pt")
    (tmp_path / "part.pt").write_bytes((tmp_path / "whole.pt").read_bytes()[:900])
    (tmp_path / "text.pt").write_text("hello")
    torch.save([1, 2], tmp_path / "list.pt")
    torch.save({"model": {}}, tmp_path / "empty.pt")
    for name in ("part", "text", "list", "empty", "missing"):
        with pytest.raises(XorError, match=f"{name}.pt"):
            load(tmp_path / f"{name}.pt")
    with pytest.raises(XorError):
        load(tmp_path)
