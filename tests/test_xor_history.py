"""What is kept of a training against its Records, and histories of several processes as one."""

import pytest

from xor import history as module
from xor.history import History, progress_line
from xor.model import hand_set, random_networks
from xor.recipes import Recipe
from xor.tasks import grid
from xor.train import train


def trained(seeds, size=2, **recipe):
    """A closed History and all Records it was given."""
    inputs, targets = grid(size)
    model = random_networks(seeds, 2, size)
    history = History(model, inputs, targets, seeds)
    records = list(train(model, inputs, targets, Recipe(**recipe), seeds))
    for record in records:
        history.add(record)
    history.close()
    return history, records


@pytest.mark.parametrize("chunk_size", (40, 1_000_000))
def test_curves_are_of_every_epoch_and_reports_of_every_hundredth(chunk_size, monkeypatch):
    monkeypatch.setattr(module, "CHUNK_SIZE", chunk_size)
    monkeypatch.setattr(module, "MAX_CURVES", 3)
    history, records = trained(range(5), size=3, epochs=250)
    loss, accuracy = history.curves()
    assert loss.shape == accuracy.shape == (250, 3)
    for epoch in (1, 55, 250):
        record = records[epoch - 1]
        assert loss[epoch - 1] == pytest.approx(record.loss[:3].numpy(), rel=1e-5)
        assert accuracy[epoch - 1].tolist() == record.accuracy[:3].tolist()
    rows = history.rows()
    assert [row["epoch"] for row in rows] == [100, 200, 250]
    assert rows[1]["loss"] == pytest.approx(records[199].loss.mean().item())
    assert rows[1]["accuracy"] == pytest.approx(records[199].accuracy.mean().item())
    solved = sum(accuracy == 100 for accuracy in records[199].accuracy.tolist())
    assert rows[1]["solved"] == solved
    line = f"ep:  200 loss: {rows[1]['loss']:.4f} acc: {rows[1]['accuracy']:.2f}"
    assert progress_line(history.reports[1]) == f"{line} solved: {solved}/5"


def test_histories_of_several_processes_become_one():
    holds = {(1, 2): 20, (3,): 250, (4,): 20}
    parts = [trained(seeds, hold=hold)[0] for seeds, hold in holds.items()]
    ends = [part.last.epoch for part in parts]
    rows = [part.rows()[-1] for part in parts]
    assert len(set(ends)) > 1  # some end before the others
    merged = parts[0]
    merged.merge(parts)
    assert merged.seeds == [1, 2, 3, 4] and merged.last.epoch == max(ends)
    assert merged.model.n_networks == 4
    last = merged.rows()[-1]
    loss = 2 * rows[0]["loss"] + rows[1]["loss"] + rows[2]["loss"]
    assert last["loss"] == pytest.approx(loss / 4)
    assert last["solved"] == sum(row["solved"] for row in rows)


def test_after_an_interrupt_the_last_record_is_of_the_networks_kept():
    inputs, targets = grid(2)
    history = History(random_networks([0], 3, 2), inputs, targets)
    assert not history.last.solved.any()
    history.model = hand_set(2, 3, "sig", 10.0)
    history.close(interrupted=True)
    assert history.last.solved.all()
