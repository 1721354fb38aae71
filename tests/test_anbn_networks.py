"""Networks: copies, selections and what several processes have trained put together."""

import torch

from anbn.catalogue import named
from anbn.networks import merged, pack, unpack, untrained
from anbn.networks import trained as training
from anbn.recipes import Recipe


def trained(kind="srn", n_networks=2, first=0, **settings):
    """Networks after 32 training sequences and two reports of them."""
    recipe = Recipe(n_sequences=32, batch_size=8, **settings)
    seeds = range(first, first + n_networks)
    *_, networks = training(untrained(named("anbn"), kind, 2, seeds, recipe), report_every=16)
    return networks


def test_a_packed_copy_does_not_change_with_further_training():
    networks = trained()
    content, other = pack(networks), networks.select(slice(None))
    with torch.no_grad():
        networks.model.U.zero_()
    networks.optimizer["step"].zero_()
    assert content["parameters"]["U"].any() and content["optimizer"]["step"] == 4
    assert other.model.U.any() and other.optimizer["step"] == 4


def test_selected_networks_keep_what_is_theirs():
    networks = trained(n_networks=3)
    last = networks.select(slice(2, 3))
    assert last.seeds == [2] and torch.equal(last.model.U, networks.model.U[2:])
    assert torch.equal(last.optimizer["mean"], networks.optimizer["mean"][2:])
    assert [report.loss for report in last.history] == [[r.loss[2]] for r in networks.history]
    table = networks.metrics()
    assert len(table) == 2 * 3 and [row["network"] for row in table[:3]] == [1, 2, 3]
    assert table[-1] == {
        "sequences": 32,
        "network": 3,
        "seed": 2,
        **{
            name: value[2]
            for name, value in networks.history[-1]._asdict().items()
            if name != "sequences"
        },
    }


def test_merged_is_what_one_process_would_have_packed(monkeypatch):
    monkeypatch.setattr("anbn.train.GROUP_SIZE", 1)  # processes share whole groups
    both = merged([pack(trained(n_networks=2)), pack(trained(n_networks=1, first=2))])
    found, alone = unpack(both), trained(n_networks=3)
    assert found.seeds == [0, 1, 2] and found.best is None
    for name, value in alone.model.named_parameters():
        assert torch.equal(getattr(found.model, name), value)
    assert found.optimizer.keys() == alone.optimizer.keys()
    assert all(torch.equal(found.optimizer[k], value) for k, value in alone.optimizer.items())
    assert found.history == alone.history and len(found.history) == 2


def test_two_reports_of_two_networks_each_are_not_taken_for_networks():
    """(S, reports) tensors are joined along S, the list of reports is not."""
    both = merged([pack(trained(n_networks=2)), pack(trained(n_networks=2, first=2))])
    assert both["history"]["sequences"] == [16, 32]
    assert both["history"]["loss"].shape == (4, 2)
