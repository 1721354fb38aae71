"""seq_plot.py as a user runs it: which network it finds, what it says of it, what it refuses."""

import contextlib
import io
import json
import math
import re
import shutil
from types import SimpleNamespace

import pytest
import seq_plot
import seq_train
import torch

from anbn.analysis import summary
from anbn.catalogue import named
from anbn.handset import handset
from anbn.models import SRN
from anbn.plots import animation, traces

PARITY_OF_LENGTH = {  # reads anbn: after A it says A or B, after B always A: right for n = 1 alone
    "H0": [0.0, 0.0],
    "W": [[3.0, -3.0], [-3.0, 3.0]],
    "U": [[0.0, 0.0], [0.0, 0.0]],
    "hid_bias": [0.0, 0.0],
    "V": [[-2.0, 2.0], [2.0, -2.0]],
    "out_bias": [0.0, 0.0],
}


def first_n_only():
    return {name: torch.tensor(values) for name, values in PARITY_OF_LENGTH.items()}


def knows_only_e():
    """A Reber network whose every prediction is E."""
    state = {name: torch.zeros(shape) for name, shape in SRN.shapes(7, 2).items()}
    return state | {"out_bias": torch.eye(7)[6]}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder of results with one run in it."""
    out = tmp_path_factory.mktemp("results")
    words = "--epoch 2 --seeds 3 --hid 2 --batch_size 8 --quiet --processes 1 --out".split()
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        seq_train.main([*words, str(out)])
    return SimpleNamespace(stdout=printed.getvalue()), out


@pytest.fixture
def undrawn(monkeypatch):
    """Leave out the figures and the analysis, which take most of the time."""
    nothing = SimpleNamespace(lines=[], content={}, figures={}, files={})
    monkeypatch.setattr(summary, "analyse", lambda *_, **__: nothing)
    monkeypatch.setattr(traces, "figures", lambda *_: {})


def warnings_of(done):
    """The lines on stderr, each a warning."""
    lines = done.stderr.splitlines()
    assert all(line.startswith("seq_plot.py: warning: ") for line in lines), done.stderr
    return [line.removeprefix("seq_plot.py: warning: ") for line in lines]


def test_the_newest_run_is_found_and_plotted(trained, within, commands):
    run, out = trained
    older = out / "seq" / "anbn_srn2__s0__20200101-000000"
    shutil.copytree(commands.folder(run), older)  # a copy is newer by the clock
    done = within(seq_plot, "--lang", "anbn", "--hid", 2, "--out", out, "--quiet", drawn=True)
    assert done.returncode == 0 and done.stderr == ""
    for heading in ("Fixed points of each symbol's map", "Finite-state machine", "How it does it"):
        assert f"\n{heading}" in done.stdout
    folder, content = commands.folder(done), commands.summary(done)
    best = commands.summary(run)["best"]["network"]
    assert content["network"] == best
    assert content["plot_of"] == str(commands.folder(run) / "model.pt")
    first = done.stdout.splitlines()[0]
    assert f"network {best} of 3" in first and "model.pt" in first and "2 thousand" in first
    names = {path.name for path in folder.iterdir()}
    assert {"machine.dot", "machine.json", "machine.png", "machine_hidden.png"} <= names
    assert {"phase_portraits.png", "hidden_pairs.png", "over_time.png", "trace.csv"} <= names
    nothing = within(seq_plot, "--hid", 3, "--out", out)
    assert nothing.returncode == 2 and "seq_train.py" in nothing.stderr


def test_a_run_of_a_language_file_is_found(tmp_path):
    """Whatever the file says of it, here that it is embedded."""
    file = tmp_path / "own.py"
    body = 'name, symbols, embed = "own", "AB", True\n    word = lambda self, n: "A" * n + "B" * n'
    file.write_text(f"from anbn.languages import Language\nclass Own(Language):\n    {body}\n")
    folder = tmp_path / "seq" / "own_embedded_srn2__s0__20260101-000000"
    folder.mkdir(parents=True)
    found = {"language": str(file), "embedded": True, "length": 8, "model": "srn", "hidden": 2}
    (folder / "summary.json").write_text(json.dumps(found | {"networks": 1}))
    args = seq_plot.parse_args(["--lang", str(file), "--out", str(tmp_path)])
    assert seq_plot.newest_run(args) == folder


def test_it_says_how_good_the_network_is_before_how_it_works(within, commands, tmp_path):
    torch.save(first_n_only(), tmp_path / "anbn_srn2_50.pth")
    words = ("--num_plot", 1, "--out", tmp_path, "--checkpoint", tmp_path / "anbn_srn2_50.pth")
    done = within(seq_plot, *words)
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    right = re.match(r"Not solved: (\d+) of 300 fresh streams are right", lines[1])[1]
    content = commands.summary(done)
    assert int(right) == round(300 * content["streams_right"]) < 297
    assert lines[2] == "Single strings are right for n = 1; n = 2 fails."
    assert lines[3].startswith("What it gets wrong: right for n = 1 (of 1 to 8); at n = 2")
    assert lines[4:6] == ["", lines[5]] and lines[5].startswith("symbol= ")
    assert content["first_failing_n"] == 2 and content["solved"] is False
    assert 6 < lines.index("Finite-state machine") < lines.index("How it does it")


def test_a_network_that_fails_inside_a_stream_alone_is_told_so(within, commands, tmp_path, undrawn):
    """Each B takes 0.95 from the counter, not 1: what is left after two strings is too much."""
    state = handset(named("anbn", length=4)).network_state(0)
    state["W"][1, 5] = -math.atanh(0.95)  # reading B, the candidate of the counter
    torch.save(state, tmp_path / "anbn_lstm2_1.pth")
    words = ("--length", 4, "--quiet", "--num_plot", 1, "--out", tmp_path)
    done = within(seq_plot, *words, "--checkpoint", tmp_path / "anbn_lstm2_1.pth")
    largest = math.atanh(50 / float(state["V"][1, 1]))  # that the output takes for nothing left
    n = [(n, m) for n in range(1, 5) for m in range(1, 5) if 0.05 * (n + m) > largest]
    assert 0.05 * 4 < largest and "\nSingle strings are right for n = 1 to " in done.stdout
    pairs = ", ".join(f"({n},{m})" for n, m in n[:5])
    assert f"fails inside a stream, after the pairs {pairs}" in done.stdout


def test_a_reber_network_that_knows_only_e_is_not_solved(within, commands, tmp_path, undrawn):
    torch.save(knows_only_e(), tmp_path / "reber_srn2_0.pth")
    words = ("--checkpoint", tmp_path / "reber_srn2_0.pth", "--lang", "reber", "--quiet")
    done = within(seq_plot, *words, "--out", tmp_path)
    assert done.returncode == 0 and commands.summary(done)["solved"] is False
    assert "the likelier" in warnings_of(done)[0]
    assert "Not solved: 0 of 300 fresh strings are right" in done.stdout


def test_exact_counter_and_its_gates(within, commands, tmp_path):
    words = "--lang anb2nc3n --length 3 --set_weights --n_most 20 --quiet --out".split()
    run = within(seq_train, *words, tmp_path)
    done = within(seq_plot, "--run", commands.folder(run), "--num_plot", 3, "--out", tmp_path)
    text = done.stdout
    assert done.returncode == 0 and "\nSolved: 300 of 300 fresh streams" in text
    assert re.search(r"^A hidden: \[.*\] cell: \[.*\] output: \[.*\]$", text, re.M)
    # the counter of B holds what it has while C is read: forget gate 1, input gate 0
    assert re.search(r"^counting C +forget gate .* 1\.00 \+- 0\.00 open ", text, re.M)
    for study in commands.summary(done)["machine"]:
        assert study["agrees_with_language"] == study["agrees_with_network"] == 1


def test_bare_state_dicts_of_both_kinds(within, commands, tmp_path, undrawn):
    lstm = handset(named("anbn")).network_state(0)
    assert set(lstm) == {"W", "U", "hid_bias", "V", "out_bias"}
    torch.save(lstm, tmp_path / "old.pth", _use_new_zipfile_serialization=False)
    words = ("--quiet", "--out", tmp_path, "--checkpoint", tmp_path / "old.pth")
    done = within(seq_plot, *words, "--lang", "anbn")
    content = commands.summary(done)
    assert done.stderr == "" and content["first_failing_n"] == 1001 and content["solved"]
    done = within(seq_plot, *words)
    assert done.returncode == 2 and "--lang" in done.stderr and done.stderr.count("\n") == 1


def test_what_does_not_fit_is_a_warning(within, commands, tmp_path, undrawn):
    path = tmp_path / "anbn_lstm3_1.2.3.pth"
    torch.save({name: value.half() for name, value in first_n_only().items()}, path)
    words = ("--quiet", "--num_plot", 1, "--lang", "anb2n", "--out", tmp_path)
    done = within(seq_plot, *words, "--checkpoint", path)
    told = "\n".join(warnings_of(done))
    for part in ("float16", "its name says lstm", "its name says 3 hidden", "read as anb2n"):
        assert part in told
    assert commands.summary(done)["what"].startswith("anb2n, SRN with 2 hidden units")


def test_a_folder_of_coursework_checkpoints(within, commands, tmp_path, undrawn):
    net = tmp_path / "net"
    net.mkdir()
    torch.save(first_n_only(), net / "anbn_srn2_100.pth")
    for epoch in (0, 50):
        torch.save(knows_only_e(), net / f"reber_srn2_{epoch}.pth")
    words = ("--lang", "reber", "--embed", "False", "--quiet", "--num_plot", 1, "--out", tmp_path)
    done = within(seq_plot, "--run", net, "--epoch", 20, *words)
    assert commands.summary(done)["plot_of"] == str(net / "reber_srn2_0.pth")
    assert len(warnings_of(done)) == 1  # it is the nearest
    done = within(seq_plot, "--lang", "anbn", "--quiet", "--num_plot", 1, "--out_path", net)
    assert commands.summary(done)["plot_of"] == str(net / "anbn_srn2_100.pth")


def test_the_title_of_every_figure_names_file_and_epoch(within, tmp_path, monkeypatch):
    from common.run_folder import RunFolder

    titles = {}

    def kept(self, figure, name):
        titles[name] = " ".join([figure.get_suptitle(), *(ax.get_title() for ax in figure.axes)])

    monkeypatch.setattr(RunFolder, "save_figure", kept)
    torch.save(first_n_only(), tmp_path / "anbn_srn2_50.pth")
    words = ("--quiet", "--num_plot", 1, "--out", tmp_path)
    assert within(seq_plot, *words, "--checkpoint", tmp_path / "anbn_srn2_50.pth").returncode == 0
    assert len(titles) >= 5
    for name, title in titles.items():
        assert "anbn_srn2_50.pth" in title and "50 thousand" in title, name


def test_contradictions_and_what_is_not_there(trained, within, commands, tmp_path):
    folder = commands.folder(trained[0])
    (tmp_path / "broken.pt").write_bytes((folder / "model.pt").read_bytes()[:2000])
    for words, said in (
        (["--run", folder, "--checkpoint", folder / "model.pt"], "not both"),
        (["--checkpoint", folder / "model.pt", "--epoch", 2], "--epoch"),
        (["--run", folder, "--network", 4], "3 networks"),
        (["--run", folder / "nothing"], "nothing"),
        (["--run", folder, "--lang", "anbncn"], "lang anbncn"),
        (["--checkpoint", tmp_path / "broken.pt"], "broken.pt is no checkpoint"),
        (["--checkpoint", folder / "model.pt", "--lang", "anbncn"], "another language"),
        (["--checkpoint="], "--checkpoint is empty"),
        (["--run="], "--run is empty"),
        (["--lang", "abc"], "unknown language"),
        (["--num_plot", "0"], "at least 1"),
    ):
        done = within(seq_plot, *words, "--out", tmp_path)
        (line,) = done.stderr.splitlines()
        assert done.returncode == 2 and done.stdout == ""
        assert line.startswith("seq_plot.py: error: ") and said in line
    assert not (tmp_path / "seq").exists()


def test_a_checkpoint_on_the_way_is_plotted_too(trained, within, commands, tmp_path, undrawn):
    folder = commands.folder(trained[0])
    words = ("--run", folder, "--epoch", 7, "--network", 2, "--quiet", "--num_plot", 1)
    done = within(seq_plot, *words, "--out", tmp_path)
    assert "nearest" in warnings_of(done)[0]
    content = json.loads((commands.folder(done) / "summary.json").read_text())
    assert content["network"] == 2 and content["plot_of"].endswith(("model.pt", "_2.pth"))


OWN = """
from anbn.languages import Language

class Separated(Language):
    name, symbols = "ansbn", "ABS"

    def word(self, n):
        return "A" * n + "S" + "B" * n
"""


def test_languages_of_ones_own_and_moving_pictures(within, tmp_path, monkeypatch):
    """Trained, found again, judged, traced and drawn; code in a file is not run unasked."""
    monkeypatch.chdir(tmp_path)
    stages = []  # of their training.gif; test_anbn_plots.py draws such pictures
    monkeypatch.setattr(animation, "reading", lambda *_: b"GIF89a")
    monkeypatch.setattr(animation, "training", lambda _, n, title: stages.append(n) or b"GIF89a")
    (tmp_path / "own.py").write_text(OWN)
    (tmp_path / "words.txt").write_text("abba\nbaab\nab\n")
    options = "--epoch 3 --seeds 2 --save_every 1 --quiet --processes 1 --out results".split()
    for file, name in (("own.py", "ansbn"), ("words.txt", "words")):
        length = ("--length", "5") if file == "own.py" else ()
        done = within(seq_train, "--lang", file, "--model", "lstm", *length, *options)
        assert done.returncode in (0, 1) and f"{name}, LSTM with 3 hidden units" in done.stdout
        run = done.stdout.splitlines()[-1].removeprefix("Run folder: ")
        words = "--num_plot 2 --quiet --out results".split()
        if file == "own.py":
            words.append("--animate")
        done = within(seq_plot, "--lang", file, *words)
        assert done.returncode == 0 and run in done.stdout and not done.stderr
        drawn = tmp_path / done.stdout.splitlines()[-1].removeprefix("Run folder: ")
        for gif in ("animation.gif", "training.gif") if file == "own.py" else ():
            assert (drawn / gif).read_bytes() == b"GIF89a"
        resumed = ("--resume", run, "--epoch", "4", "--processes", "1", "--quiet", "--out", "other")
        done = within(seq_train, *resumed)
        if file == "words.txt":
            assert done.returncode in (0, 1)
            continue
        assert done.returncode == 2 and f"run it by --lang {tmp_path / file}" in done.stderr
        done = within(seq_train, *resumed, "--lang", file)
        assert done.returncode in (0, 1)
        run = done.stdout.splitlines()[-1].removeprefix("Run folder: ")
        assert json.loads((tmp_path / run / "summary.json").read_text())["length"] == 5
    assert stages == [[0, 1000, 2000, 3000]]
