"""seq_train.py and seq_plot.py as a user runs them: what is printed, saved and refused."""

import csv
import json
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import seq_plot
import seq_train
import torch

from anbn.counting import CountingLanguage
from anbn.handset import handset
from anbn.models import MODELS
from benchmarks.anbn import N_NETWORKS, PlainLSTM, PlainSRN, our_loop
from common.options import BadInput, run

SCRIPTS = Path(__file__).resolve().parents[1] / "scripts"
PARITY_OF_LENGTH = {  # reads anbn: after A it says A or B, after B always A: right for n = 1 alone
    "H0": [0.0, 0.0],
    "W": [[3.0, -3.0], [-3.0, 3.0]],
    "U": [[0.0, 0.0], [0.0, 0.0]],
    "hid_bias": [0.0, 0.0],
    "V": [[-2.0, 2.0], [2.0, -2.0]],
    "out_bias": [0.0, 0.0],
}


def call(script, capsys, *words):
    """Run a script's main in this process: (exit status, stdout lines)."""
    with pytest.raises(SystemExit) as ended:
        run(lambda: script.main([str(word) for word in words]))
    out = capsys.readouterr()
    return ended.value.code, out.out.splitlines(), out.err.splitlines()


def folder_of(lines):
    """The run folder, named by the last line printed."""
    assert lines[-1].startswith("Run folder: ")
    return Path(lines[-1].removeprefix("Run folder: "))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A short run in a process of its own, as the coursework's command line spells it."""
    out = tmp_path_factory.mktemp("net")
    words = ["--lang", "anbn", "--epoch", "2", "--seeds", "3", "--hid", "2", "--batch_size", "8"]
    words += ["--out_path", out]
    done = subprocess.run(
        [sys.executable, SCRIPTS / "seq_train.py", *map(str, words)], capture_output=True, text=True
    )
    assert done.returncode in (0, 1), done.stderr
    assert done.stderr == ""
    return done, out


def test_a_run_prints_trace_loss_table_and_rate(trained):
    done, out = trained
    text, lines = done.stdout, done.stdout.splitlines()
    symbols = re.findall(r"^symbol= ([AB]+)$", text, re.M)
    assert len(symbols) >= 2  # at each report, and of the best network at the end
    steps = re.findall(r"^[AB] hidden: \[.*\] output: \[.*\]$", text, re.M)
    assert len(steps) == sum(len(s) - 1 for s in symbols)
    assert re.findall(r"^epoch: (\d+)$", text, re.M) == ["1000", "2000"]
    floor = re.search(r"^ loss: (\S+)   \(a perfect predictor: (\S+);", text, re.M)
    assert float(floor[2]) == pytest.approx(0.0120, abs=3e-4)  # REFERENCES.md
    summary = json.loads((folder_of(lines) / "summary.json").read_text())
    solved = summary["solved"]
    assert f"Solved: {solved} of 3" in text
    assert f"Not solved: {3 - solved} (" in text or solved == 3
    assert len(summary["not_solved"]) == 3 - solved
    assert "First failing n over the networks, quantiles: 10% " in text
    assert done.returncode == (0 if solved else 1)


def test_a_run_saves_everything(trained):
    done, out = trained
    folder = folder_of(done.stdout.splitlines())
    assert folder.parent == out / "seq"
    names = {path.name for path in folder.iterdir()}
    assert names == {
        *("config.json", "metrics.csv", "summary.json", "model.pt", "anbn_srn2_2.pth"),
        *("trace.csv", "hidden_pairs.png", "over_time.png", "learning.png", "reach.png"),
    }
    metrics = list(csv.DictReader((folder / "metrics.csv").open()))
    assert [(row["sequences"], row["network"]) for row in metrics] == [
        (str(n), str(s)) for n in (1000, 2000) for s in (1, 2, 3)
    ]
    summary = json.loads((folder / "summary.json").read_text())
    last = {int(row["network"]): float(row["loss"]) for row in metrics[-3:]}
    for row in summary["networks_best_first"]:
        assert row["loss"] == pytest.approx(last[row["network"]])
    trace = list(csv.DictReader((folder / "trace.csv").open()))
    assert {"symbol", "next", "state", "hidden_1", "hidden_2"} <= set(trace[0])


def test_sequences_to_criterion_and_rates(tmp_path, capsys):
    options = ("--lang", "anbn", "--seeds", 3, "--epoch", 4, "--rates", "--quiet")
    status, lines, _ = call(seq_train, capsys, *options, "--out", tmp_path)
    folder = folder_of(lines)
    content = json.loads((folder / "summary.json").read_text())
    metrics = list(csv.DictReader((folder / "metrics.csv").open()))
    first = []
    for network in ("1", "2", "3"):
        rows = [row for row in metrics if row["network"] == network]
        solved = [int(row["sequences"]) for row in rows if float(row["streams_right"]) >= 0.99]
        first.append(min(solved, default=None))
    found = content["to_criterion"]
    assert found["reached"] == sum(n is not None for n in first)
    assert found["quantiles"]["50%"] == sorted(first, key=lambda n: n or 1e9)[1]
    assert any(line.startswith("Sequences until first solved, tested every") for line in lines)
    groups = content["rates"]
    assert groups["solved"]["networks"] == content["solved"]
    assert groups["not_solved"]["networks"] == 3 - content["solved"]
    assert any(line.startswith("Contraction under A times expansion under B") for line in lines)


def test_the_newest_run_is_found_and_plotted(trained, capsys):
    done, out = trained
    status, lines, _ = call(seq_plot, capsys, "--lang", "anbn", "--hid", 2, "--out", out, "--quiet")
    assert status == 0
    text = "\n".join(lines)
    for heading in ("Fixed points of each symbol's map", "Finite-state machine"):
        assert heading in text
    assert lines[-4] == "How it does it" and lines[-3].startswith("While A is read, ")
    folder = folder_of(lines)
    content = json.loads((folder / "summary.json").read_text())
    assert content["account"] == lines[-3:-1]
    assert [study["longest"] for study in content["machine"]] == [8, 16]
    names = {path.name for path in folder.iterdir()}
    assert {"machine.dot", "machine.json", "machine.png", "machine_hidden.png"} <= names
    assert {"phase_portraits.png", "hidden_pairs.png", "over_time.png", "trace.csv"} <= names
    status, _, errors = call(seq_plot, capsys, "--hid", 3, "--out", out)
    assert status == 2 and "seq_train.py" in errors[0]


def test_exact_counter_run_and_its_gates(tmp_path, capsys):
    words = ("--lang", "anb2nc3n", "--length", 3, "--set_weights", "--out", tmp_path, "--quiet")
    status, lines, _ = call(seq_train, capsys, *words)
    assert status == 0 and "Solved: yes" in "\n".join(lines)
    assert lines[-2] == (
        "It predicts every certain symbol right up to n = 1,000, all that was tried"
    )
    status, lines, _ = call(seq_plot, capsys, "--run", folder_of(lines), "--out", tmp_path)
    text = "\n".join(lines)
    assert status == 0
    assert re.search(r"^A hidden: \[.*\] cell: \[.*\] output: \[.*\]$", text, re.M)
    # the counter of B holds what it has while C is read: forget gate 1, input gate 0
    assert re.search(r"^counting C +forget gate .* 1\.00 \+- 0\.00 open ", text, re.M)
    assert "While B is read, cell 2 goes down" in text
    assert "While C is read, cell 3 goes down" in text
    content = json.loads((folder_of(lines) / "summary.json").read_text())
    for study in content["machine"]:
        assert study["agrees_with_language"] == study["agrees_with_network"] == 1
        assert study["shortest_difference"].count("A") == study["longest"] + 1


def test_bare_state_dicts_of_both_kinds(tmp_path, capsys):
    srn = {name: torch.tensor(values) for name, values in PARITY_OF_LENGTH.items()}
    torch.save(srn, tmp_path / "anbn_srn2_50.pth")
    lstm = handset(CountingLanguage.named("anbn")).network_state(0)
    assert set(lstm) == {"W", "U", "hid_bias", "V", "out_bias"}
    torch.save(lstm, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    words = ("--quiet", "--out", tmp_path, "--checkpoint")
    status, lines, _ = call(seq_plot, capsys, *words, tmp_path / "anbn_srn2_50.pth")
    content = json.loads((folder_of(lines) / "summary.json").read_text())
    assert status == 0 and content["first_failing_n"] == 2 and not content["solved"]
    status, lines, _ = call(seq_plot, capsys, *words, tmp_path / "old.pth", "--lang", "anbn")
    content = json.loads((folder_of(lines) / "summary.json").read_text())
    assert status == 0 and content["first_failing_n"] == 1001 and content["solved"]
    status, _, errors = call(seq_plot, capsys, *words, tmp_path / "old.pth")
    assert status == 2 and "--lang" in errors[0]
    contradicts = (tmp_path / "anbn_srn2_50.pth", "--lang", "anb2n")
    status, _, errors = call(seq_plot, capsys, *words, *contradicts)
    assert status == 2 and "anbn, not for anb2n" in errors[0]


def test_resume_equals_uninterrupted(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(seq_train, "CHECKPOINT_EVERY", 1000)
    words = ("--epoch", 2, "--seeds", 2, "--batch_size", 8, "--quiet", "--out")
    _, lines, _ = call(seq_train, capsys, *words, tmp_path / "whole")
    whole = folder_of(lines)
    assert {path.name for path in whole.glob("*.pth")} == {"anbn_srn2_1.pth", "anbn_srn2_2.pth"}
    half = whole / "anbn_srn2_1.pth"
    _, lines, _ = call(seq_train, capsys, "--resume", half, "--quiet", "--out", tmp_path / "rest")
    first, second = (
        torch.load(folder / "model.pt", weights_only=True) for folder in (whole, folder_of(lines))
    )
    assert first["sequences"] == second["sequences"] == 2000
    for name, values in first["parameters"].items():
        assert torch.equal(values, second["parameters"][name])
    early = torch.load(half, weights_only=True)
    assert not torch.equal(early["parameters"]["U"], first["parameters"]["U"])


def test_ctrl_c_keeps_what_was_trained(tmp_path):
    words = ["--seeds", "2", "--epoch", "10", "--batch_size", "8", "--out", str(tmp_path)]
    command = [sys.executable, "-u", str(SCRIPTS / "seq_train.py"), *words]
    # a process started in the background of a shell may inherit that SIGINT is ignored
    reset = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, **reset) as process:
        for _ in process.stdout:  # the first report is out after a tenth of the training
            break
        else:
            raise AssertionError("nothing was printed")
        time.sleep(0.1)
        process.send_signal(signal.SIGINT)
        rest, _ = process.communicate(timeout=60)
    assert process.returncode == 130
    lines = rest.splitlines()
    assert "To go on" in rest and lines[-1].startswith("Run folder: ")
    kept = torch.load(folder_of(lines) / "model.pt", weights_only=True)
    assert 0 < kept["sequences"] < 10_000
    assert (folder_of(lines) / "metrics.csv").is_file()


@pytest.mark.parametrize(
    "words",
    [
        "--lang xyz",
        "--lang abn",
        "--hid 0",
        "--length 0",
        "--lr nan",
        "--embed True --lang anbn",
        "--lang reber --set_weights",
        "--lang anbncn --set_weights --hid 2",
        "--lang anbncn --rates",  # three letters
        "--lang anbn --model lstm --rates",
        "--lang anbn --recipe far",  # an SRN has no gates
        "--resume nowhere",
        "--lr 1e38",
        "--init 1e38 --epoch 0.1 --seeds 2",  # the loss is no number from the start
    ],
)
def test_bad_input_is_one_line_and_status_2(words, tmp_path, capsys):
    try:
        status, out, errors = call(seq_train, capsys, *words.split(), "--quiet", "--out", tmp_path)
    except SystemExit as ended:  # argparse ends by itself
        status, errors = ended.code, capsys.readouterr().err.splitlines()
        out = []
    assert status == 2 and out == [] and len(errors) == 1 and "error: " in errors[0]


def test_a_place_that_cannot_be_written_to(tmp_path, capsys):
    (tmp_path / "file").write_text("")
    status, _, errors = call(seq_train, capsys, "--set_weights", "--out", tmp_path / "file")
    assert status == 2 and len(errors) == 1 and "--out" in errors[0]


def test_files_that_are_no_checkpoint_for_this(tmp_path, trained, capsys):
    model = folder_of(trained[0].stdout.splitlines()) / "model.pt"
    (tmp_path / "truncated.pt").write_bytes(model.read_bytes()[:2000])
    (tmp_path / "text.pt").write_text("hello")
    torch.save(torch.nn.Linear(2, 2).state_dict(), tmp_path / "linear.pt")
    torch.save([1, 2], tmp_path / "list.pt")
    srn = {name: torch.tensor(values) for name, values in PARITY_OF_LENGTH.items()}
    torch.save(srn | {"V": torch.zeros(3, 2)}, tmp_path / "anbn_srn2_1.pth")
    torch.save(srn | {"V": torch.full((2, 2), float("nan"))}, tmp_path / "anbn_srn2_2.pth")
    for path in sorted(tmp_path.iterdir()):
        for script, option in ((seq_plot, "--checkpoint"), (seq_train, "--resume")):
            status, out, errors = call(script, capsys, option, path, "--out", tmp_path)
            assert status == 2 and out == [] and len(errors) == 1 and path.name in errors[0]
    for other in (("--lang", "anbncn"), ("--hid", 5), ("--model", "lstm"), ("--length", 3)):
        for script, option in ((seq_plot, "--checkpoint"), (seq_train, "--resume")):
            words = (option, model, *other, "--out", tmp_path)
            status, _, errors = call(script, capsys, *words)
            assert status == 2 and len(errors) == 1 and "model.pt" in errors[0]
    assert not (tmp_path / "seq").exists()


def test_seq_plot_refuses_contradictions(trained):
    folder = folder_of(trained[0].stdout.splitlines())
    for words in (
        ["--run", folder, "--checkpoint", folder / "model.pt"],
        ["--checkpoint", folder / "model.pt", "--epoch", 2],
        ["--run", folder, "--epoch", 7],
        ["--run", folder, "--network", 4],
        ["--run", folder / "nothing"],
    ):
        with pytest.raises(BadInput):
            seq_plot.main([*map(str, words), "--out", str(folder)])


@pytest.mark.parametrize("kind, plain", [("srn", PlainSRN), ("lstm", PlainLSTM)])
def test_the_plain_loop_of_the_benchmark_is_the_same_network(kind, plain):
    model, network = MODELS[kind](3, 4, seeds=[5]), plain(3, 4)
    weights = {name: value.detach() for name, value in model.network_state(0).items()}
    first = network.read if kind == "srn" else network.gates
    with torch.no_grad():
        first.weight.copy_(torch.cat([weights["W"], weights["U"]]).T)
        first.bias.copy_(weights["hid_bias"])
        network.read_out.weight.copy_(weights["V"].T)
        network.read_out.bias.copy_(weights["out_bias"])
        if kind == "srn":
            network.start.copy_(weights["H0"][None])
        read = torch.tensor([0, 1, 2, 2, 1, 0, 0])
        expected = model(read[None]).logits[0, 0]
        found = network(torch.nn.functional.one_hot(read, 3).float())
    assert torch.allclose(found, expected, atol=1e-6)


def test_the_benchmark_counts_sequences_of_all_networks():
    work = our_loop(CountingLanguage.named("anbn", 1), "srn", 2)
    assert work() % (N_NETWORKS * 8) == 0


def test_a_recipe_of_another_version_is_refused(trained, tmp_path, capsys):
    """Its settings may mean something else by now."""
    _, out = trained
    content = torch.load(next(out.rglob("model.pt")), weights_only=True)
    for change in ({"calibration": 0.5}, {"steepness": None}):
        recipe = {k: v for k, v in (content["recipe"] | change).items() if v is not None}
        file = tmp_path / "old.pth"
        torch.save(content | {"recipe": recipe}, file)
        status, _, err = call(seq_train, capsys, "--resume", file, "--epoch", 4, "--out", tmp_path)
        assert status == 2 and len(err) == 1 and "another version" in err[0]
