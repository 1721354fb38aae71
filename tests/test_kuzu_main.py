"""scripts/kuzu_main.py as users run it, on a few hundred images; its bad-input lines."""

import csv
import json
import re

import kuzu_main
import pytest
import torch
from test_kuzu_data import NAMES

from kuzu.data import load_kana

MATRIX_ROW = re.compile(r"^ ?\[+( *\d+\.){10}\]+$")
TEST_LINE = re.compile(r"^Test set: Average loss: \d+\.\d{4}, Accuracy: (\d+)/(\d+) \(\d+%\)$")


@pytest.fixture
def kuzu(within, commands, data_dir, tmp_path):
    """kuzu(*options) -> what was printed; in this process, on the few images."""

    def call(*options, status=0, data_dir=data_dir):
        done = within(kuzu_main, "--data_dir", data_dir, "--out", tmp_path / "out", *options)
        assert done.returncode == status, done.stderr
        return done

    return call


@pytest.fixture(scope="module")
def trained(commands, data_dir, tmp_path_factory):
    """NetConv after two epochs: what was printed, and its run folder."""
    out = tmp_path_factory.mktemp("out")
    line = "kuzu_main.py --net conv --epochs 2"
    done = commands.run(line, "--data-dir", data_dir, "--out", out)
    return done, commands.folder(done)


def without_times(summary):
    for network in summary["networks"]:
        del network["training_seconds"]
    return summary


def test_what_is_printed(trained):
    done, folder = trained
    lines = done.stdout.splitlines()
    assert lines[0].startswith("Data: images in data") and "(300 train / 100 test)" in lines[0]
    losses = [line for line in lines if line.startswith("Train Epoch")]
    assert len(losses) == 2
    assert re.fullmatch(r"Train Epoch: 2 \[0/300 \(0%\)\]\tLoss: \d+\.\d{6}", losses[1])
    tests = [index for index, line in enumerate(lines) if line.startswith("Test set")]
    assert len(tests) == 2
    for index in tests:
        right, total = map(int, TEST_LINE.match(lines[index]).groups())
        matrix = lines[index - 11 : index - 1]
        assert all(MATRIX_ROW.match(line) for line in matrix)
        counts = [[float(n) for n in re.findall(r"\d+", line)] for line in matrix]
        assert total == 100 == sum(map(sum, counts))
        assert right == sum(counts[i][i] for i in range(10))
        assert lines[index - 1] == ""
    assert any("103,856" in line for line in lines)
    assert done.stderr == ""


def test_the_run_folder(trained):
    _, folder = trained
    names = {path.name for path in folder.iterdir()}
    figures = {"confusion.png", "learning_curves.png", "confused_pairs.png", "filters.png"}
    assert {"config.json", "metrics.csv", "summary.json", "model.pt"} | figures == names
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["parameters"] == 103856
    assert summary["data"].endswith("(300 train / 100 test)")
    assert json.loads((folder / "config.json").read_text())["data"] == summary["data"]
    rows = list(csv.DictReader((folder / "metrics.csv").open()))
    assert [row["epoch"] for row in rows] == ["1", "2"]
    assert float(rows[1]["test_accuracy"]) == summary["mean_accuracy"]
    saved = torch.load(folder / "model.pt", weights_only=True)
    assert sum(tensor.numel() for tensor in saved["model"].values()) == 103856


def test_eval_only_repeats_the_test_line_and_matrix(trained, kuzu):
    done, folder = trained
    again = kuzu("--checkpoint", folder / "model.pt", "--eval_only")

    def shown(done):
        lines = done.stdout.splitlines()
        return [line for line in lines if line.startswith((" [", "[[", "Test set"))]

    assert len(shown(again)) == 11
    assert shown(again) == shown(done)[-11:]
    assert "was trained on" not in again.stderr


def test_eval_only_on_other_data_says_so(trained, kuzu, monkeypatch):
    monkeypatch.setattr("kuzu.data.load_kana", lambda: load_kana(20, 10))
    done = kuzu("--checkpoint", trained[1] / "model.pt", "--eval_only", "--dataset", "kana")
    assert "model.pt was trained on the images in" in done.stderr
    assert "not on the built-in kana set" in done.stderr


def test_resume_ends_as_an_uninterrupted_run(trained, kuzu, commands):
    model = trained[1] / "model.pt"
    resumed = kuzu("--checkpoint", model, "--resume", "--epochs", 3, "--quiet")
    whole = kuzu("--net", "conv", "--epochs", 3, "--quiet")
    assert resumed.stdout.splitlines()[:-1] == whole.stdout.splitlines()[:-1]
    summaries = [without_times(commands.summary(run)) for run in (resumed, whole)]
    assert summaries[0] == summaries[1]
    folders = [commands.folder(run) for run in (resumed, whole)]
    models = [torch.load(folder / "model.pt", weights_only=True) for folder in folders]
    for name, tensor in models[0]["model"].items():
        assert torch.equal(tensor, models[1]["model"][name])
    metrics = [(folder / "metrics.csv").read_text().splitlines() for folder in folders]
    assert len(metrics[0]) == 4
    for ours, theirs in zip(*metrics, strict=True):  # equal but for the last column, the seconds
        assert ours.rsplit(",", 1)[0] == theirs.rsplit(",", 1)[0]


def test_same_seed_same_summary_and_several_seeds(kuzu, commands):
    """The coursework's own command line, twice at once as two seeds."""
    options = ("--net", "full", "--lr", 0.01, "--mom", 0.5, "--epochs", 2, "--no_cuda")
    one, again = (without_times(commands.summary(kuzu(*options))) for _ in range(2))
    assert one == again
    done = kuzu(*options, "--seeds", 2, "--quiet", "--processes", 1)
    both = commands.summary(done)
    assert [network["seed"] for network in both["networks"]] == [0, 1]
    assert both["networks"][0]["accuracy"] == one["networks"][0]["accuracy"]
    accuracies = [network["accuracy"] for network in both["networks"]]
    assert both["mean_accuracy"] == pytest.approx(sum(accuracies) / 2)
    assert both["std_accuracy"] == pytest.approx(abs(accuracies[0] - accuracies[1]) / 2**0.5)
    assert sum(map(sum, both["confusion"])) == 200
    assert "Train Epoch" not in done.stdout
    names = {path.name for path in commands.folder(done).iterdir()}
    assert {"model_s0.pt", "model_s1.pt", "confused_pairs.png"} <= names


@pytest.mark.rounding
def test_networks_do_not_depend_on_the_number_of_processes(commands, data_dir, tmp_path, within):
    """Bit for bit, NetConv too, which alone would use every core."""
    words = "--net conv --epochs 1 --seeds 3 --quiet --processes".split()
    more = ("--data_dir", data_dir, "--out", tmp_path)
    torch.set_num_threads(4)
    one = within(kuzu_main, *words, 1, *more)
    two = commands.run("kuzu_main.py", *words, 2, *more, env={"OMP_NUM_THREADS": "4"})
    runs = [one, two]
    folders = [commands.folder(run) for run in runs]
    for folder in folders:
        assert sorted(path.name for path in folder.glob("*.pt")) == [
            *("model_s0.pt", "model_s1.pt", "model_s2.pt")
        ]
    for seed in range(3):
        one, two = (torch.load(f / f"model_s{seed}.pt", weights_only=True) for f in folders)
        for name, weight in one["model"].items():
            assert torch.equal(weight, two["model"][name])
    one, two = (without_times(commands.summary(run)) for run in runs)
    assert one == two


def test_what_the_environment_sets_changes_nothing(commands, data_dir, tmp_path):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\n")
    env = {"MPLBACKEND": "module://matplotlib_inline.backend_inline", "PYTHONIOENCODING": "ascii"}
    env |= {"MPLCONFIGDIR": str(tmp_path), "RANK": ""}
    line = "kuzu_main.py --net lin --epochs 1 --quiet"
    done = commands.run(line, "--data_dir", data_dir, "--out", tmp_path, env=env)
    assert len(list(commands.folder(done).glob("*.png"))) == 4 and done.stderr == ""


NO_CUDA = not torch.cuda.is_available()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--epochs", 0), "--epochs"),
        (("--lr", -0.1), "--lr"),
        (("--lr", "nan"), "--lr"),
        (("--lr", "inf"), "--lr"),
        (("--mom", "-1"), "--mom"),
        (("--mom", "1"), "momentum"),
        (("--batch_size", 0), "--batch_size"),
        (("--net", "resnet"), "--net"),
        (("--hid", 10**9), "not enough memory"),
        (("--net", "lin", "--hid", 100), "--hid"),
        (("--seed", 2**64), "--seed"),
        (("--checkpoint=", "--eval_only"), "--checkpoint"),
        (("--lr", "1e38", "--net", "lin"), "learning rate"),
        (("--lr", "1e30", "--net", "lin"), "learning rate"),
        (("--out", "FILE/below"), "run folder"),
        (("--eval_only",), "--checkpoint"),
        (("--resume",), "--checkpoint"),
        (("--checkpoint", "CONV"), "--eval_only"),
        (("--checkpoint", "missing.pt", "--eval_only"), "missing.pt"),
        (("--checkpoint", "FILE", "--eval_only"), "not a checkpoint"),
        (("--checkpoint", "OTHER", "--eval_only"), "not a checkpoint of kuzu_main.py"),
        (("--checkpoint", "NAN", "--eval_only"), "not finite"),
        (("--checkpoint", "CONV", "--resume", "--net", "lin"), "net is conv"),
        (("--checkpoint", "CONV", "--eval_only", "--hid", 20), "n_hidden is none"),
        (("--checkpoint", "CONV", "--resume", "--epochs", 2), "2 epochs already"),
        (("--checkpoint", "CONV", "--resume", "--epochs", 3, "--lr", 0.5), "lr is 0.01"),
        (("--checkpoint", "CONV", "--resume", "--recipe", "tuned"), "recipe is classic"),
        pytest.param(
            *(("--device", "cuda"), "no cuda"),
            marks=pytest.mark.skipif(not NO_CUDA, reason="there is a GPU"),
        ),
    ],
)
def test_bad_input_ends_in_one_line(options, message, trained, tmp_path, monkeypatch, kuzu):
    (tmp_path / "FILE").write_text("no folder, no checkpoint")
    torch.save({"weights": torch.zeros(2)}, tmp_path / "OTHER")
    saved = torch.load(trained[1] / "model.pt", weights_only=True)
    saved["model"]["output.bias"][3] = torch.nan
    torch.save(saved, tmp_path / "NAN")
    names = {"CONV": trained[1] / "model.pt"}
    names |= {name: tmp_path / name for name in ("FILE", "OTHER", "NAN", "FILE/below")}
    monkeypatch.chdir(tmp_path)
    one_line(kuzu(*(names.get(option, option) for option in options), status=2), message)


def one_line(done, message):
    assert done.stderr.startswith("kuzu_main.py: error: ")
    assert len(done.stderr.splitlines()) == 1
    assert message in done.stderr


def test_an_empty_argument_and_a_home_folder(kuzu, data_dir, tmp_path, monkeypatch):
    """A shell's empty variable in quotes; ~ as it comes from a program, no shell between."""
    done = kuzu("--net", "lin", "", status=2)
    one_line(done, "error: an argument is empty")
    monkeypatch.setenv("HOME", str(tmp_path))
    done = kuzu("--net", "lin", "--epochs", 1, "--out", "~/mine")
    assert f"Run folder: {tmp_path / 'mine'}" in done.stdout


def test_another_number_of_hidden_units_than_the_checkpoints(kuzu, commands):
    folder = commands.folder(kuzu("--hid", 20, "--epochs", 1))
    evaluate = ("--checkpoint", folder / "model.pt", "--eval_only")
    one_line(kuzu(*evaluate, "--hid", 21, status=2), "n_hidden is 20, not 21")
    assert commands.summary(kuzu(*evaluate, "--hid", 20))["parameters"] == 785 * 20 + 21 * 10


def test_bad_data_ends_in_one_line(data_dir, tmp_path, kuzu):
    """A file that was not copied whole."""
    for name in NAMES.values():
        content = (data_dir / "KMNIST" / "raw" / name).read_bytes()
        half = len(content) // 2 if name == NAMES["test_images"] else None
        (tmp_path / name).write_bytes(content[:half])
    one_line(kuzu(data_dir=tmp_path, status=2), "t10k-images")
    assert not (tmp_path / "out").exists()


def test_other_images_of_the_same_title_are_noticed(trained, data_dir, tmp_path, kuzu):
    """Another folder of the same name with as many images: resuming would mix the two."""
    other = tmp_path / data_dir.name
    other.mkdir()
    for name in NAMES.values():
        content = bytearray((data_dir / "KMNIST" / "raw" / name).read_bytes())
        content[-1] ^= name == NAMES["train_images"]  # one bit of one pixel
        (other / name).write_bytes(content)
    saved = "--checkpoint", trained[1] / "model.pt"
    done = kuzu(*saved, "--resume", "--epochs", 3, data_dir=other, status=2)
    one_line(done, "trained on other images of the same title, images in data")
    assert "trained on other images" in kuzu(*saved, "--eval_only", data_dir=other).stderr
    content = torch.load(saved[1], weights_only=True)
    del content["sha256"]  # as checkpoints were before
    torch.save(content, tmp_path / "old.pt")
    assert kuzu("--checkpoint", tmp_path / "old.pt", "--eval_only", data_dir=other).stderr == ""


def test_a_folder_without_images_is_an_error(tmp_path, kuzu, monkeypatch):
    monkeypatch.setattr("kuzu.download.server_answers", lambda: False)
    (tmp_path / "empty").mkdir()
    for dataset in ("auto", "kmnist"):
        one_line(kuzu("--dataset", dataset, data_dir=tmp_path / "empty", status=2), "Looked for")
    assert list((tmp_path / "empty").iterdir()) == []


def test_a_test_set_without_one_class(tmp_path, kuzu, commands, data_dir):
    raw = data_dir / "KMNIST" / "raw"
    for name in NAMES.values():
        content = bytearray((raw / name).read_bytes())
        if name == NAMES["test_labels"]:
            content[8:] = bytes(label % 9 for label in content[8:])
        (tmp_path / name).write_bytes(content)
    done = kuzu("--net", "lin", "--epochs", 1, data_dir=tmp_path)
    assert "nan" not in done.stdout and "no image" in done.stdout and done.stderr == ""
    assert commands.summary(done)["accuracy_by_class"]["wo"] is None


def test_an_accelerator_that_fails(kuzu, commands, monkeypatch):
    """Taken by itself, the CPU takes its place with one line; asked for, it is an error."""
    meta = torch.device("meta")
    monkeypatch.setattr("common.run_folder.choose_device", lambda *_, **__: meta)
    done = kuzu("--net", "lin", "--epochs", 1, "--quiet")
    assert re.match("kuzu_main.py: warning: meta fails: .* the CPU is used instead", done.stderr)
    assert len(done.stderr.splitlines()) == 1
    config = json.loads((commands.folder(done) / "config.json").read_text())
    assert config["device"].startswith("cpu")
    one_line(kuzu("--net", "lin", "--epochs", 1, "--device", "mps", status=2), "meta fails")


def test_interrupted_run_keeps_what_was_trained_and_goes_on(commands, data_dir, tmp_path, kuzu):
    line = "kuzu_main.py --net lin --epochs 100000"
    process = commands.start(line, "--data_dir", data_dir, "--out", tmp_path)
    done = commands.interrupt(process, "Train Epoch: 3 ")
    folder, summary = commands.folder(done), commands.summary(done)
    n_epochs = summary["networks"][0]["epochs"]
    saved = torch.load(folder / "model.pt", weights_only=True)
    assert summary["interrupted"] and saved["epoch"] == n_epochs >= 2
    more = ("--epochs", n_epochs + 2)
    resumed = kuzu("--checkpoint", folder / "model.pt", "--resume", *more)
    whole = commands.summary(kuzu("--net", "lin", *more))
    assert commands.summary(resumed)["networks"][0]["loss"] == whole["networks"][0]["loss"]


def test_a_cycle_that_is_made_longer_is_told(kuzu, commands):
    done = kuzu("--net", "lin", "--recipe", "tuned", "--epochs", 1)
    words = ("--checkpoint", commands.folder(done) / "model.pt", "--resume", "--epochs", 2)
    assert "cycle was one of 1 epochs; it goes on as one of 2" in kuzu(*words).stderr


def test_interrupted_before_the_first_epoch(kuzu, commands, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("kuzu.results.loss_line", interrupted)
    done = kuzu("--net", "lin", status=130)
    assert "\nInterrupted before the first test.\n" in done.stdout
    assert [path.name for path in commands.folder(done).iterdir()] == ["config.json"]


def test_the_tuned_recipe_says_what_both_reach_in_equal_time(kuzu, commands):
    done = kuzu("--net", "conv", "--recipe", "tuned", "--epochs", 2)
    summary = commands.summary(done)
    assert summary["parameters"] == 103_856 and summary["recipe"]["name"] == "tuned"
    classic, tuned = (summary["equal_time"][name] for name in ("classic", "tuned"))
    assert classic["epochs"] == 10 and tuned["seconds"] >= classic["seconds"]
    assert "At equal time, seed 0: classic " in done.stdout
    again = kuzu("--checkpoint", commands.folder(done) / "model.pt", "--eval_only")
    loss = summary["networks"][0]["loss"]
    assert commands.summary(again)["networks"][0]["loss"] == pytest.approx(loss, rel=1e-6)
