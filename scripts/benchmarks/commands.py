"""Whole command lines: how long they take to start and to end, and against another checkout."""

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from common.options import BadInput

ROOT = Path(__file__).resolve().parents[2]
STARTED = (  # what people type
    "kuzu_main.py --net conv --epochs 1 --dataset kana",
    "xor_main.py --act step --hid 4",
    "seq_train.py --lang anbncn --model lstm",
    "seq_train.py --lang anbn --optim adam",
)
COMPARED = (  # work that any revision can do
    "kuzu_main.py --net lin --dataset kana",
    "kuzu_main.py --net full --dataset kana",
    "kuzu_main.py --net conv --epochs 2 --dataset kana",
    "xor_main.py --hid 4 --seeds 1000 --epoch 1000",
    "seq_train.py --lang anb2n --seeds 64 --epoch 8",
    "seq_train.py --lang anb2n --seeds 8 --epoch 8",
    "seq_train.py --lang anbncn --model lstm --seeds 64 --epoch 4",
    "seq_train.py --lang anbncn --model lstm --seeds 8 --epoch 4",
)


def startup(rounds):
    """Rows: seconds from typing a command to its first printed line and to its last, medians."""
    for line in STARTED:
        times = [_timed(ROOT, line)[:2] for _ in range(rounds + 1)][1:]  # the first may compile
        first, last = (median(column) for column in zip(*times, strict=True))
        yield {"name": line, "first_line_s": first, "last_line_s": last}


def against(other, rounds):
    """Rows: seconds of training of the same command lines in the checkout `other` and in this one,
    in turn, on one core (NetConv on all)."""
    for line in COMPARED:
        one_core = "--net conv" not in line
        pairs = [
            [_timed(root, line, one_core)[2] for root in (Path(other).resolve(), ROOT)]
            for _ in range(rounds + 1)
        ][1:]  # the first may compile
        theirs, ours = (median(column) for column in zip(*pairs, strict=True))
        ratio = median(a / b for a, b in pairs)
        yield {"name": line, "ratio": ratio, "baseline_s": theirs, "ours_s": ours}


def _take_one_core():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def _timed(root, line, one_core=False):
    """Seconds to the first line and to the end of a command, and of its training alone where its
    summary says so. Raises BadInput if it leaves none."""
    script, *words = line.split()
    with tempfile.TemporaryDirectory() as out:
        command = [sys.executable, "-u", str(root / "scripts" / script), *words, "--out", out]
        pin = {"preexec_fn": _take_one_core} if one_core else {}
        start = time.perf_counter()
        how = {"stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "cwd": root, **pin}
        how["env"] = os.environ | {"PYTHONPATH": str(root)}  # where its scripts do not see to it
        with subprocess.Popen(command, **how) as process:
            process.stdout.readline()
            first = time.perf_counter() - start
            process.stdout.read()
        last = time.perf_counter() - start
        summaries = list(Path(out).glob("*/*/summary.json"))
        if not summaries:
            raise BadInput(f"{' '.join(command)} ended with status {process.returncode}")
        summary = json.loads(summaries[0].read_text())
    networks = summary.get("networks")
    if isinstance(networks, list):  # kuzu
        return first, last, sum(network["training_seconds"] for network in networks)
    return first, last, summary.get("training_seconds", last)
