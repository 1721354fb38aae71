"""seq_train.py as a user runs it: what is printed, saved, refused, interrupted and resumed."""

import csv
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
import seq_train
import torch

from anbn import networks
from anbn.plots import traces, training
from anbn.train import GROUP_SIZE

SMALL = "seq_train.py --epoch 2 --seeds 3 --hid 2 --batch_size 8"


def parameters(folder, name="model.pt"):
    return torch.load(folder / name, weights_only=True)["parameters"]


def equal(first, second):
    """Whether two run folders hold the same networks, to the last bit."""
    first, second = parameters(first), parameters(second)
    return first.keys() == second.keys() and all(
        torch.equal(v, second[k]) for k, v in first.items()
    )


@pytest.fixture(scope="module")
def trained(commands, tmp_path_factory):
    """A short run in a process of its own, as the coursework's command line spells it."""
    out = tmp_path_factory.mktemp("net")
    return commands.run(SMALL, "--lang", "anbn", "--rates", "--out_path", out, status=(0, 1))


@pytest.fixture
def undrawn(monkeypatch):
    """Leave out the figures, which take most of the time of a short run."""
    monkeypatch.setattr(traces, "figures", lambda *_: {})
    monkeypatch.setattr(training, "figures", lambda *_: {})


def test_a_run_prints_trace_loss_table_and_rate(trained, commands):
    text, lines = trained.stdout, trained.stdout.splitlines()
    assert trained.stderr == ""  # no progress bar where nobody watches
    symbols = re.findall(r"^symbol= ([AB]+)$", text, re.M)
    assert len(symbols) >= 2  # at each report, and of the best network at the end
    steps = re.findall(r"^([AB]) hidden: \[.*\] output: \[.*\]$", text, re.M)
    assert "".join(steps) == "".join(s[:-1] for s in symbols)  # the symbols read
    assert re.findall(r"^epoch: (\d+)$", text, re.M) == ["1000", "2000"]
    losses = re.findall(
        r"^ loss: (\S+)   \(the true probabilities: (\S+) on the same st", text, re.M
    )
    summary = commands.summary(trained)
    best = min(row["loss"] for row in summary["networks_best_first"])
    assert float(losses[-1][0]) == pytest.approx(best, abs=6e-5)
    assert float(losses[0][1]) == float(losses[1][1]) == pytest.approx(0.0120, abs=2e-3)
    solved = summary["solved"]
    assert f"Solved: {solved} of 3" in text and trained.returncode == (0 if solved else 1)
    assert f"Not solved: {3 - solved} (" in text or solved == 3
    assert re.search(r"^Computed with (scan\.c, compiled by .*|torch operations)$", text, re.M)
    assert "floor" not in text and lines[-1].startswith("Run folder: ")


def test_the_run_folder_holds_what_was_printed(trained, commands):
    folder, summary = commands.folder(trained), commands.summary(trained)
    names = {path.name for path in folder.iterdir()}
    assert {"config.json", "metrics.csv", "model.pt", "trace.csv", "learning.png"} <= names
    assert {"hidden_pairs.png", "over_time.png", "reach.png", "anbn_srn2_2.pth"} <= names
    config = json.loads((folder / "config.json").read_text())
    assert config["code"] == summary["code"] and summary["code"] in trained.stdout
    with open(folder / "metrics.csv", newline="") as file:
        metrics = list(csv.DictReader(file))
    assert len(metrics) == 2 * 3
    first = []
    for network in "123":
        rows = [row for row in metrics if row["network"] == network]
        assert [row["sequences"] for row in rows] == ["1000", "2000"]
        solved = [int(row["sequences"]) for row in rows if float(row["streams_right"]) >= 0.99]
        first.append(min(solved, default=None))
    criterion = summary["to_criterion"]
    assert criterion["reached"] == sum(n is not None for n in first)
    assert criterion["quantiles"]["50%"] == sorted(first, key=lambda n: n or 1e9)[1]
    groups = summary["rates"]
    assert groups["solved"]["networks"] == summary["solved"]
    assert groups["solved"]["networks"] + groups["not_solved"]["networks"] == 3
    assert "Contraction under A times expansion under B" in trained.stdout


def test_the_exact_counter(within, commands, tmp_path):
    words = "--lang anb2nc3n --model lstm --length 3 --set_weights --n_most 200".split()
    done = within(seq_train, *words, "--out", tmp_path)
    assert done.returncode == 0 and "Solved: yes" in done.stdout
    assert "right up to n = 200, all that was tried" in done.stdout
    (text,) = re.findall(r"^symbol= (\w+)$", done.stdout, re.M)
    rows = re.findall(r"^([A-C]) hidden: \[.*\] cell: \[.*\] output: \[.*\]$", done.stdout, re.M)
    assert "".join(rows) == text[:-1]
    assert commands.summary(done)["hand_set"]


def test_results_are_saved_before_they_are_printed(within, tmp_path, monkeypatch):
    def nobody_reads(*_, **__):
        raise BrokenPipeError

    monkeypatch.setattr(seq_train, "print", nobody_reads, raising=False)
    done = within(seq_train, "--set_weights", "--n_most", 20, "--out", tmp_path)
    assert done.returncode == 141 and done.stdout == ""
    (folder,) = (tmp_path / "seq").iterdir()
    names = {path.name for path in folder.iterdir()}
    assert {"model.pt", "summary.json", "trace.csv", "over_time.png"} <= names


def test_resume_equals_uninterrupted(within, commands, tmp_path, undrawn):
    words = "--epoch 3 --save_every 1 --seeds 2 --batch_size 8 --quiet --out".split()
    whole = within(seq_train, *words, tmp_path)
    folder = commands.folder(whole)
    names = {f"anbn_srn2_{k}.pth" for k in (1, 2, 3)}
    assert {path.name for path in folder.glob("*.pth")} == names
    half = folder / "anbn_srn2_1.pth"
    rest = within(seq_train, "--resume", half, "--quiet", "--out", tmp_path)
    assert rest.stderr == "" and equal(folder, commands.folder(rest))
    for name in ("to_criterion", "networks_best_first", "first_failing_n"):
        assert commands.summary(rest)[name] == commands.summary(whole)[name]
    for name in ("metrics.csv", "trace.csv"):
        assert (folder / name).read_bytes() == (commands.folder(rest) / name).read_bytes()
    early = torch.load(half, weights_only=True)
    assert not torch.equal(early["parameters"]["U"], parameters(folder)["U"])
    again = within(seq_train, "--resume", folder, "--out", tmp_path)
    assert again.returncode == 2 and "longer --epoch" in again.stderr
    longer = within(seq_train, "--resume", folder, "--epoch", 4, "--quiet", "--out", tmp_path)
    assert commands.summary(longer)["sequences"] == 4000


def test_ctrl_c_keeps_what_was_trained(commands, within, tmp_path, undrawn, monkeypatch):
    """And --resume ends where the run would have ended, to the last bit."""
    words = "--seeds 2 --epoch 12 --batch_size 8".split()
    whole = within(seq_train, *words, "--quiet", "--out", tmp_path / "whole")
    uninterrupted = networks.trained

    def interrupted(*args):
        for number, now in enumerate(uninterrupted(*args), 1):
            if number == 5:
                raise KeyboardInterrupt
            yield now

    with monkeypatch.context() as patched:
        patched.setattr(networks, "trained", interrupted)
        stopped = within(seq_train, *words, "--out", tmp_path)
    assert stopped.returncode == 130 and stopped.stderr == ""
    assert "\nInterrupted after 4,000 sequences per network. To go on:\n" in stopped.stdout
    folder = commands.folder(stopped)
    assert {path.name for path in folder.iterdir()} == {"config.json", "metrics.csv", "model.pt"}
    assert torch.load(folder / "model.pt", weights_only=True)["sequences"] == 4000
    resume = re.search(r"^    python scripts/seq_train.py (--resume .*)$", stopped.stdout, re.M)[1]
    done = within(seq_train, *resume.split(), "--quiet", "--out", tmp_path / "rest")
    assert equal(commands.folder(whole), commands.folder(done))
    assert commands.summary(whole)["to_criterion"] == commands.summary(done)["to_criterion"]


def test_after_kill_the_newest_checkpoint_is_known_by_what_is_inside(commands, within, tmp_path):
    line = "seq_train.py --seeds 1 --epoch 60 --batch_size 64 --hid 2 --processes 1"
    process = commands.start(line, "--out", tmp_path, env={"PYTHONUNBUFFERED": "1"})
    for text in process.stdout:
        if text.startswith("epoch: ") and int(text.split()[1]) > 20_000:
            break
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    (folder,) = (tmp_path / "seq").iterdir()
    files = sorted(folder.glob("*.pth"))
    inside = [torch.load(path, weights_only=True)["sequences"] for path in files]
    os.utime(files[inside.index(min(inside))])  # as cp -r may leave them
    words = "--epoch 0.001 --quiet --out".split()
    told = within(seq_train, "--resume", folder, *words, tmp_path)
    assert told.returncode == 2 and f"{max(inside):,} sequences" in told.stderr


def test_any_number_of_processes_trains_the_same_networks(commands, within, tmp_path):
    n = GROUP_SIZE + 1
    line = f"seq_train.py --seeds {n} --epoch 0.1 --quiet --n_most 20 --out {tmp_path}"
    one = within(seq_train, *line.split()[1:], "--processes", 1)
    two = commands.run(line, "--processes", 2, status=(0, 1))
    assert one.stderr == two.stderr == ""
    first, second = commands.folder(one), commands.folder(two)
    assert equal(first, second)
    assert {path.name for path in first.iterdir()} == {path.name for path in second.iterdir()}
    for name in ("metrics.csv", "trace.csv"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    left, right = commands.summary(one), commands.summary(two)
    del left["training_seconds"], right["training_seconds"]
    assert left == right and left["networks"] == n
    assert one.returncode == two.returncode == (0 if left["solved"] else 1)


@pytest.mark.parametrize(
    "words",
    [
        "--lang reber --embed True --model lstm --hid 4",
        "--lang anb2nc3n --model lstm --hid 3",
        "--lang anbn --model srn --hid 2 --optim adam --lr 0.001 --mom 0.9 --init 0.1",
        "--lang reber --length 4 --optim sgd --lr 0.1 --mom 0.5",
    ],
)
def test_the_courseworks_command_lines_run_as_they_are(words, within, tmp_path, undrawn):
    words = [*words.split(), "--epoch", "0.05", "--seeds", "2", "--n_most", "8"]
    done = within(seq_train, *words, "--out_path", tmp_path)
    solved = int(re.search(r"^Solved: (\d) of 2 ", done.stdout, re.M)[1])
    assert done.returncode == (0 if solved else 1) and done.stderr == ""


@pytest.mark.parametrize(
    "words, said",
    [
        ("--lang xyz", "unknown language"),
        ("--lang abn", "unknown language"),
        ("--lang=", "--lang is empty"),
        ("--hid 0", "at least 1"),
        ("--length 0", "at least 1"),
        ("--lr nan", "not a finite number"),
        ("--mom 1", "too large"),
        ("--epoch 1e300", "too large"),
        ("--seed 18446744073709551616", "too large"),
        ("--n_most 1000000000000", "too large"),
        ("--embed True --lang anbn", "only reber"),
        ("--lang reber --set_weights", "no hand-set weights for reber"),
        ("--lang anbncn --set_weights --hid 2", "hidden"),
        ("--set_weights --model srn", "--model lstm"),
        ("--set_weights --lr 0.1", "--lr cannot be given"),
        ("--set_weights --epoch 10", "--epoch cannot be given"),
        ("--set_weights --seeds 4", "--seeds cannot be given"),
        ("--set_weights --resume x", "--resume cannot be given"),
        ("--lang anbncn --rates", "two letters"),
        ("--lang anbn --model lstm --rates", "two letters"),
        ("--lang anbncn --recipe far", "--model lstm"),
        ("--lang dyck1 --n_most 1000", "--n_most 1000 is too large"),
        ("--resume nowhere", "nowhere"),
        ("--resume nowhere --mom 0.5", "--mom cannot be given"),
        ("--resume nowhere --seeds 3", "--seeds cannot be given"),
        ("--resume nowhere --lang anbn", "--lang cannot be given"),
        ("--hid 1000000", "lower --hid"),
        ("--length 1000000", "lower --length"),
        ("--length 1000000000", "lower --length"),
        ("--batch_size 100000000", "lower --batch_size"),
        ("--seeds 1000000000", "--seeds"),
        ("--lr 1e38", "too large"),
        ("--device mps", "--device cpu"),
        ("--init 1e38 --epoch 0.1 --seeds 2", "--init"),
    ],
)
def test_bad_input_is_one_line_and_status_2(words, said, within, tmp_path):
    start = time.monotonic()
    done = within(seq_train, *words.split(), "--quiet", "--out", tmp_path)
    (line,) = done.stderr.splitlines()
    assert done.returncode == 2 and done.stdout == ""
    assert line.startswith("seq_train.py: error: ") and said in line
    assert time.monotonic() - start < 10


def test_a_run_on_a_list_that_was_moved_is_resumed(within, commands, tmp_path, undrawn):
    (tmp_path / "words.txt").write_text("ab\nba\n")
    words = ["--quiet", "--seeds", 1, "--out", tmp_path]
    done = within(seq_train, "--lang", tmp_path / "words.txt", "--epoch", 0.1, *words)
    (tmp_path / "moved").mkdir()
    (tmp_path / "words.txt").rename(tmp_path / "moved" / "words.txt")
    words = ["--resume", commands.folder(done), "--epoch", 0.2, "--quiet", "--out", tmp_path]
    lost = within(seq_train, *words)
    assert lost.returncode == 2 and "words.txt is not there: say by --lang" in lost.stderr
    done = within(seq_train, *words, "--lang", tmp_path / "moved" / "words.txt")
    assert "moved/words.txt, as asked for" in done.stderr and "changed" not in done.stderr
    assert commands.summary(done)["sequences"] == 192  # of 16 each
    (tmp_path / "moved" / "words.txt").write_text("ab\nbb\n")
    done = within(seq_train, *words, "--lang", tmp_path / "moved" / "words.txt")
    assert "words.txt has changed since these networks were trained on it" in done.stderr


def test_a_place_that_cannot_be_written_to(within, tmp_path):
    (tmp_path / "file").write_text("")
    done = within(seq_train, "--set_weights", "--out", tmp_path / "file")
    assert done.returncode == 2 and "--out" in done.stderr and done.stderr.count("\n") == 1


def test_only_runs_that_say_how_they_were_trained_are_resumed(within, commands, trained, tmp_path):
    folder = commands.folder(trained)
    content = torch.load(folder / "model.pt", weights_only=True)
    old = content["recipe"] | {"calibration": 0.5}
    torch.save(content | {"recipe": old}, tmp_path / "old.pth")
    bare = {name: value[0] for name, value in content["parameters"].items()}
    torch.save(bare, tmp_path / "anbn_srn2_1.pth")
    Path(tmp_path / "broken.pth").write_bytes(b"hello")
    for name, said in (
        ("old.pth", "another version"),
        ("anbn_srn2_1.pth", "does not say how it was trained"),
        ("broken.pth", "no checkpoint"),
    ):
        done = within(seq_train, "--resume", tmp_path / name, "--epoch", 4, "--out", tmp_path)
        (line,) = done.stderr.splitlines()
        assert done.returncode == 2 and name in line and said in line
    assert not (tmp_path / "seq").exists()
