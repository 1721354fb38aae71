"""Many processes, one run: the networks are shared out, the first process reports on all of them.

Nothing is exchanged while networks train: every process takes whole groups of the seeds, and rank 0
collects the networks at the end. A group has one fixed size and is trained on one thread, so its
networks are the same in any number of processes, bit for bit.
"""

import contextlib
import math
import os
import signal
import sys
import tempfile
import uuid
from datetime import timedelta

import torch
import torch.distributed as distributed

import common
from common import first_process, launched, say
from common.options import BadInput, ProcessLost


def share_out(args, n_networks, group_size=1):
    """Start this script anew in several processes, where `--processes` and the number of groups
    ask for it, and exit with their status. Returns in a process that is to train: the only one, or
    one that was started here or by torchrun."""
    wanted = args.processes
    if wanted == "auto":
        wanted = 1 if args.device in ("cuda", "mps") else usable_cores()
    groups = math.ceil(n_networks / group_size)
    count = min(wanted, groups)
    if count > 1 and not launched():
        sys.exit(_launch(count))
    if groups > 1:
        torch.set_num_threads(1)  # in one process too: with two threads sums round differently


def usable_cores():
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _launch(count):
    """Run this command line in `count` processes under torch's launcher; their exit status."""
    import logging

    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.disable()  # what went wrong is said by the process where it did
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as logs:
        here = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "local_addr": "localhost"}
        here |= {"run_id": uuid.uuid4().hex, "logs_specs": DefaultLogsSpecs(log_dir=logs)}
        config = LaunchConfig(1, 1, count, max_restarts=0, **here)
        try:
            elastic_launch(config, sys.executable)(*sys.argv)
        except ChildFailedError as error:
            rank, failure = error.get_first_failure()
            if failure.exitcode < 0:
                name = signal.Signals(-failure.exitcode).name
                raise ProcessLost(f"process {rank} of {count} was ended by {name}") from None
            return failure.exitcode
        except SignalException as ended:
            return 128 + ended.sigval
    return 0


class Processes:
    """rank: number of this process; count: how many there are; lost: whether one has ended early
    (the launcher then ends the others with SIGTERM)."""

    def __init__(self):
        self.rank = int(os.environ["RANK"]) if launched() else 0
        self.count = int(os.environ["WORLD_SIZE"]) if launched() else 1
        self.first, self.lost = first_process(), False
        self.others_wait = False  # for rank 0 to say whether it has saved what it gathered

    def join(self, device):
        """Meet the other processes; the device of this one."""
        if self.count == 1:
            return device
        if device.type == "cuda":
            local = int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count()
            device = torch.device("cuda", local)
            torch.cuda.set_device(device)
        distributed.init_process_group("gloo", timeout=timedelta(days=7))  # longer than training
        signal.signal(signal.SIGTERM, self._terminated)
        common.ended = self._ended
        if not self.first:
            sys.stdout = open(os.devnull, "w")
        return device

    def share(self, seeds, group_size=1):
        """This process's part of the seeds: whole groups of `group_size` neighbours (the last may
        be smaller), as evenly as can be, the first process's part the largest."""
        groups = math.ceil(len(seeds) / group_size)
        if groups < self.count:
            raise BadInput(
                f"{self.count} processes cannot share {len(seeds)} networks in groups of "
                f"{group_size}: start fewer processes or give a larger --seeds"
            )
        start, end = (-(-groups * r // self.count) * group_size for r in (self.rank, self.rank + 1))
        return seeds[start:end]

    def in_turn(self, work):
        """work() of the first process of every machine, then of the others: what the first has
        downloaded the others find."""
        if self.count == 1:
            return work()
        first_here = os.environ["LOCAL_RANK"] == "0"
        result = work() if first_here else None
        with _peers():
            distributed.barrier()
        return result if first_here else work()

    def gather(self, content, folder):
        """A list of every process's content, on rank 0, which now saves all of it.

        The others end here. Their files are removed once rank 0 has ended well, everything saved;
        if it fails, they stay, and it says why. After a lost process every other ends with one line
        and status 2.
        """
        if self.count == 1:
            return [content]
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would part the processes
        everything = [None] * self.count if self.first else None
        try:
            if self.lost:
                raise ProcessLost
            with _peers():
                distributed.gather_object(content, everything)
            if self.first:
                self.others_wait = True
                return everything
            saved = self.broadcast(None)
        except (ProcessLost, KeyboardInterrupt):
            signal.signal(signal.SIGTERM, signal.SIG_IGN)  # it may come as Python ends
            say(
                f"error: a process of this run was lost; the networks of process {self.rank} of "
                f"{self.count} are kept in {folder}"
            )
            sys.exit(2)
        if saved:
            folder.discard()
        distributed.destroy_process_group()
        sys.exit(0)

    def broadcast(self, content):
        """Rank 0's content, everywhere."""
        box = [content]
        if self.count > 1:
            with _peers():
                distributed.broadcast_object_list(box)
        return box[0]

    def _ended(self, saved):
        if self.others_wait:
            with contextlib.suppress(ProcessLost):
                self.broadcast(saved)
        distributed.destroy_process_group()

    def _terminated(self, *_):
        self.lost = True
        raise KeyboardInterrupt


@contextlib.contextmanager
def _peers():
    """Turns the error of an exchange with a process that has ended into ProcessLost."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessLost(f"another process of this run has ended ({error})") from None
