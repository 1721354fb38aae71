"""Two processes of torchrun share a run's networks and end as one process does, to the last bit."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).parent.parent
TORCHRUN = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")


def start(command, out, processes=2, **options):
    """A command line such as "xor_main.py --seeds 4", in one process or in two."""
    script, *arguments = command.split()
    line = [sys.executable, *(TORCHRUN if processes == 2 else ()), str(ROOT / "scripts" / script)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = dict(stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    return subprocess.Popen(
        [*line, *arguments, "--out", str(out)], env=environment, **pipes, **options
    )


def finished(process, status=0):
    printed, errors = process.communicate(timeout=240)
    assert process.returncode == status, errors
    return printed, errors


def same(a, b):
    """Whether two checkpoints hold the same, tensors to the last bit."""
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    return torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b


def timeless(content):
    """A summary without what a clock has measured."""
    if isinstance(content, dict):
        return {k: timeless(v) for k, v in content.items() if "second" not in k}
    return [timeless(item) for item in content] if isinstance(content, list) else content


@pytest.mark.parametrize(
    "command",
    [
        "seq_train.py --lang reber --epoch 2 --seeds 3",
        "seq_train.py --lang anbncn --model lstm --epoch 1 --seeds 3",
        "xor_main.py --hid 5 --epoch 400 --seeds 5 --restarts 1",
        "kuzu_main.py --net lin --data_dir {data_dir} --epochs 1 --seeds 3",
    ],
)
def test_two_processes_end_as_one(command, data_dir, tmp_path):
    folders, printed = [], []
    for n in (1, 2):
        process = start(command.format(data_dir=data_dir), tmp_path / str(n), processes=n)
        text, errors = process.communicate(timeout=240)
        assert text, errors
        folders.append(Path(text.splitlines()[-1].removeprefix("Run folder: ")))
        printed.append(text)
    names = [sorted(path.name for path in folder.iterdir()) for folder in folders]
    assert names[0] == names[1]
    summaries = [json.loads((folder / "summary.json").read_text()) for folder in folders]
    assert timeless(summaries[0]) == timeless(summaries[1])
    models = [sorted(f.glob("*.pt")) + sorted(f.glob("*.pth")) for f in folders]
    assert models[0]
    for paths in zip(*models, strict=True):
        one, two = (torch.load(path, weights_only=True) for path in paths)
        if "kuzu" in command:
            for row in one["history"] + two["history"]:
                row.pop("seconds")
        assert same(one, two), paths


def test_more_processes_than_networks(tmp_path):
    _, errors = finished(start("seq_train.py --seeds 1", tmp_path), status=1)  # torchrun's own
    line = "2 processes cannot share 1 networks: start fewer processes or give a larger --seeds"
    assert errors.count(line) == 1 and not list(tmp_path.iterdir())


def test_a_lost_process_ends_the_run_and_the_others_keep_their_networks(tmp_path):
    process = start("seq_train.py --lang anb2n --epoch 100000 --seeds 4", tmp_path)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        pytest.skip("this system does not list a process's children")
    deadline = time.monotonic() + 120
    while not list(tmp_path.glob("seq/*/process1_*_10.pth")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.2)
    time.sleep(1)
    os.kill(int(children.read_text().split()[-1]), signal.SIGKILL)
    _, errors = finished(process, status=1)  # torchrun's own
    assert errors.count("a process of this run was lost; the networks of process") == 1
    (kept,) = tmp_path.glob("seq/*/*model.pt")
    content = torch.load(kept, weights_only=True)
    assert content["sequences"] >= 1000 and len(content["parameters"]["U"]) == 2
