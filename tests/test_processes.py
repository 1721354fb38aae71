"""Several processes share a run: the same networks in any number of them, and none is lost."""

import json
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import seq_train
import torch

from common.options import BadInput
from common.processes import Processes, share_out


def numbers(folder, name="model.pt"):
    return torch.load(folder / name, weights_only=True)["numbers"]


def files(out):
    (folder,) = out.glob("toy/*")
    return folder, {path.name for path in folder.iterdir()}


@pytest.fixture(scope="module")
def alone(commands, tmp_path_factory):
    """The networks that one process trains, with threads to spare and a RANK that means nothing."""
    odd = {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "", "PYTHONSAFEPATH": "1"}
    odd["OMP_NUM_THREADS"] = str(os.cpu_count())
    out = tmp_path_factory.mktemp("alone")
    done = commands.run("toy.py --processes 1 --out", out, env=odd)
    assert done.stderr == ""
    return numbers(commands.folder(done))


@pytest.mark.rounding
def test_three_processes_end_with_the_networks_of_one(alone, tmp_path, commands):
    """And an exit status of 1 is passed on without a word."""
    done = commands.run("toy.py --processes 3 --fail status --out", tmp_path, status=1)
    assert done.stdout.count("training") == 1 and done.stderr == ""
    folder, names = files(tmp_path)
    assert names == {"config.json", "model.pt", "summary.json"}
    assert json.loads((folder / "config.json").read_text())["code"] == "toy"
    assert torch.equal(numbers(folder), alone)


@pytest.mark.rounding
def test_torchrun_of_the_user(alone, commands, tmp_path):
    done = commands.run("toy.py --out", tmp_path, processes=2)
    assert torch.equal(numbers(commands.folder(done)), alone)
    done = commands.run("toy.py --hid 3 --out", tmp_path, processes=2, status=1)  # torchrun's own
    assert done.stderr.count("unknown argument --hid") == 1


@pytest.mark.slow
def test_a_language_of_ones_own_is_shared_and_resumed(commands, within, tmp_path):
    """Its code is not in the checkpoints that are put together; the seed is that of the run."""
    word = 'def word(self, n):\n        return "A" * n + "B" * n\n'
    body = f'class Own(Language):\n    name, symbols = "own", "AB"\n\n    {word}'
    file = tmp_path / "own.py"
    file.write_text(f"from anbn.languages import Language\n\n\n{body}")
    words = "--quiet", "--lang", file, "--out", tmp_path
    new = "seq_train.py --epoch 0.1 --seeds 26 --seed 5 --processes 2"
    done = commands.run(new, *words, status=(0, 1))
    assert commands.summary(done)["networks"] == 26
    done = within(seq_train, *words, "--epoch", 0.2, "--resume", commands.folder(done))
    assert done.returncode in (0, 1) and "__s5__" in commands.folder(done).name


def test_groups_are_shared_whole_and_evenly():
    for n_seeds, group_size, count in [(10, 2, 2), (11, 2, 3), (300, 64, 4), (7, 1, 7), (5, 8, 1)]:
        parts = []
        for rank in range(count):
            processes = Processes()
            processes.rank, processes.count = rank, count
            parts.append(processes.share(list(range(n_seeds)), group_size))
        assert sum(parts, []) == list(range(n_seeds))
        n_groups = [-(-len(part) // group_size) for part in parts]
        assert max(n_groups) - min(n_groups) <= 1 and n_groups[0] == max(n_groups)
        assert all(part[0] % group_size == 0 for part in parts)


def test_more_processes_than_groups(commands, tmp_path, monkeypatch):
    processes = Processes()
    processes.count = 3
    with pytest.raises(BadInput, match="3 processes cannot share 4 networks in groups of 2"):
        processes.share([0, 1, 2, 3], 2)
    started = []
    monkeypatch.setattr("common.processes._launch", lambda count: started.append(count) or 0)
    monkeypatch.setattr("common.processes.usable_cores", lambda: 8)
    args = SimpleNamespace(processes="auto", device="auto")
    with pytest.raises(SystemExit):
        share_out(args, 5, 2)
    args.processes = 2
    with pytest.raises(SystemExit):
        share_out(args, 5, 2)
    args.processes, args.device = "auto", "cuda"
    share_out(args, 100, 2)
    args.device = "auto"
    share_out(args, 2, 2)
    assert started == [3, 2]


def test_the_fault_of_one_process_is_told_once(commands, tmp_path):
    done = commands.run("toy.py --processes 2 --fail rank1 --out", tmp_path, status=2)
    assert done.stderr == "toy.py: error: the fault of rank1\n"


def test_what_the_first_process_cannot_save_the_others_keep(alone, commands, tmp_path):
    done = commands.run("toy.py --processes 2 --fail saving --out", tmp_path, status=2)
    folder, names = files(tmp_path)
    assert done.stderr.count("\n") == 1 and f"cannot write {folder}/model.pt: " in done.stderr
    kept = [numbers(folder, name) for name in ("model.pt", "process1_model.pt")]
    assert torch.equal(torch.cat(kept), alone)


def test_a_first_process_that_dies_while_saving(commands, tmp_path):
    done = commands.run("toy.py --processes 2 --fail kill --out", tmp_path, status=2)
    folder, names = files(tmp_path)
    assert {"model.pt", "process1_model.pt"} <= names
    assert "the networks of process 1 of 2 are kept in" in done.stderr
    assert "process 0 of 2 was ended by SIGKILL" in done.stderr and "Traceback" not in done.stderr


def test_a_lost_process_ends_the_run_and_the_others_keep_their_networks(commands, tmp_path):
    process = commands.start("toy.py --processes 2 --wait 1 --seeds 1000 --out", tmp_path)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        pytest.skip("this system does not list a process's children")
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("toy/*/*model.pt"))) < 2:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.1)
    os.kill(int(children.read_text().split()[-1]), signal.SIGKILL)
    done = commands.finish(process, status=2)
    assert done.stderr.count("a process of this run was lost; the networks of process") == 1
    assert "was ended by SIGKILL" in done.stderr and done.stderr.count("\n") == 2
    folder, names = files(tmp_path)
    assert all(len(numbers(folder, name)) for name in names if name.endswith("model.pt"))


def test_ctrl_c_keeps_the_networks_of_all_processes(commands, tmp_path):
    """It comes twice: the terminal interrupts every process, and so does the launcher."""
    line = "toy.py --processes 2 --wait 0.5 --seeds 1000 --out"
    process = commands.start(line, tmp_path, start_new_session=True)
    deadline = time.monotonic() + 120
    while len(list(tmp_path.glob("toy/*/*model.pt"))) < 2:
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.1)
    os.killpg(process.pid, signal.SIGINT)
    done = commands.finish(process, status=130)
    folder, names = files(tmp_path)
    assert done.stderr == "" and names == {"config.json", "model.pt", "summary.json"}
    assert len(numbers(folder)) >= 4 and commands.folder(done) == folder
