"""bench.py runs every part on a little work, and its ratios are those of the work."""

import json
from pathlib import Path
from types import SimpleNamespace

import bench
import pytest

from benchmarks import anbn, commands, coursework, growth, kuzu, timing, xor
from common.options import BadInput

SLOW = """
import pathlib, sys, time
time.sleep(0.2)
print("training")
folder = pathlib.Path(sys.argv[-1], "xor", "run")
folder.mkdir(parents=True)
(folder / "summary.json").write_text("{}")
time.sleep(0.4)
"""


def test_ratio_and_rates_are_medians_over_the_rounds_without_the_first(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(timing, "time", SimpleNamespace(perf_counter=lambda: now[0]))

    def turns(*seconds):
        left = list(seconds)  # of a turn in each round

        def work():
            now[0] += left.pop(0)
            return 1

        return work

    baseline, ours = turns(8, 0.5, 1, 0.5), turns(2, 0.125, 0.25, 0.25)
    row = timing.compare("idle", baseline, ours, "turns", rounds=3)
    assert (row["baseline_per_s"], row["ours_per_s"], row["ratio"]) == (2, 4, 4)
    assert (row["name"], row["unit"]) == ("idle", "turns")


def test_every_part_measures_something(monkeypatch):
    monkeypatch.setattr(timing, "SIZE", 64)
    monkeypatch.setattr(kuzu, "IMAGES", 100)
    monkeypatch.setattr(xor, "N_NETWORKS", 20)
    monkeypatch.setattr(xor, "N_EPOCHS", 10)
    for name, value in (("PLAIN_SEQUENCES", 2), ("OUR_UPDATES", 2), ("MANY", 4), ("FEW", 2)):
        monkeypatch.setattr(anbn, name, value)
    monkeypatch.setattr(growth, "SWEEPS", {"networks": (1, 2), "longest n": (2,)})
    monkeypatch.setattr(growth, "UPDATES", 2)
    for part, least in ((kuzu, 3), (xor, 1), (anbn, 4)):
        rows = list(part.rows(1))
        assert len(rows) >= least and all(row["ratio"] > 0 for row in rows)
        assert all(bench.line(row) for row in rows)
    rows = list(growth.rows(1))
    assert [row["value"] for row in rows] == [1, 2, 2] * 2
    assert all(row["seconds"] > 0 for row in rows)
    assert growth.draw(rows, "cpu").startswith(b"\x89PNG")


def test_trials_of_the_coursework_recipe(monkeypatch):
    """On few networks and steps, in this process."""
    small = {"N_PERCEPTRONS": 20, "N_EPOCHS": 3000, "N_NETWORKS": 2, "N_STREAMS": 200}
    for name, value in small.items():
        monkeypatch.setattr(coursework, name, value)
    row = coursework.check(6)
    assert row["networks"] == 20 and 0 < row["solved"] <= 20
    first, median, last = row["epochs"]
    assert 0 < first <= median <= last <= 3000 and bench.line(row)
    row = coursework.recurrent(("anbn", 1, "lstm", 3, 0.05))
    assert row["solved"] == 2 and "LSTM-3, n up to 1, lr 0.05" in bench.line(row)
    row = coursework.recurrent(("anbn", 8, "srn", 2, 0.001))
    low, high = row["solved_95"]
    assert row["solved"] == 0 == low < high < 1
    recipe = coursework.ConstantRate(100, learning_rate=0.1)
    assert recipe.rate(0) == recipe.rate(99) == 0.1


def test_arguments(within, tmp_path):
    assert bench.parse_args([]).parts == list(bench.DEFAULT)
    assert bench.parse_args(["xor", "--rounds", "1"]).parts == ["xor"]
    done = within(bench, "--against", tmp_path)
    assert done.returncode == 2 and "no checkout" in done.stderr
    done = within(bench, "kuzu", "--against", Path(bench.__file__).parents[1])
    assert done.returncode == 2 and "leave out kuzu" in done.stderr
    (tmp_path / "file").write_text("")
    done = within(bench, "xor", "--json", tmp_path / "file" / "bench.json")
    assert done.returncode == 2 and done.stderr.count("\n") == 1


@pytest.mark.slow
def test_start_up_is_timed(monkeypatch, tmp_path, within):
    """Of a script that says something after 0.2 seconds and ends after another 0.4."""
    script = tmp_path / "scripts" / "xor_main.py"
    script.parent.mkdir()
    script.write_text(SLOW)
    monkeypatch.setattr(commands, "ROOT", tmp_path)
    monkeypatch.setattr(commands, "STARTED", ("xor_main.py --act step --hid 4",))
    done = within(bench, "startup", "--rounds", 1, "--json", tmp_path / "bench.json")
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "bench.json").read_text())["startup"]
    assert 0.2 <= row["first_line_s"] <= row["last_line_s"] - 0.4


def test_a_checkout_that_does_not_run_is_no_baseline(tmp_path):
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "kuzu_main.py").write_text("import nothing_of_that_name")
    with pytest.raises(BadInput, match="kuzu_main.py .* ended with status 1"):
        next(commands.against(tmp_path, 1))
