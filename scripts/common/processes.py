"""Many processes, one run: torchrun starts them, the networks are shared out, rank 0 reports.

    torchrun --nproc-per-node 4 scripts/seq_train.py --seeds 256

Networks do not depend on each other, so nothing is exchanged while they train: every process takes
its part of the seeds, and rank 0 collects the networks at the end. One process without torchrun is
the same with nothing to share.
"""

import os
import signal
import sys
from datetime import timedelta

from common.options import BadInput, ProcessLost, first_process


class Processes:
    """rank: number of this process; count: how many there are; lost: whether one has ended early
    (torchrun then ends the others with SIGTERM)."""

    def __init__(self):
        self.rank = int(os.environ.get("RANK", 0))
        self.count = int(os.environ.get("WORLD_SIZE", 1))
        self.lost = False

    @property
    def first(self):
        return first_process()

    def join(self, device):
        """Meet the other processes; the device of this one."""
        if self.count == 1:
            return device
        import torch
        import torch.distributed as distributed

        if device.type == "cuda":
            local = int(os.environ.get("LOCAL_RANK", 0)) % torch.cuda.device_count()
            device = torch.device("cuda", local)
            torch.cuda.set_device(device)
        backend = "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"
        distributed.init_process_group(backend, timeout=timedelta(days=7))  # longer than training
        signal.signal(signal.SIGTERM, self._terminated)
        if not self.first:
            sys.stdout = open(os.devnull, "w")
        return device

    def share(self, seeds, group_size=1):
        """This process's part of the seeds: whole groups of `group_size` neighbours (the last may
        be smaller), as evenly as can be, so that each group is trained the same way in any number
        of processes."""
        groups = -(-len(seeds) // group_size)
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
        import torch.distributed as distributed

        waits = os.environ.get("LOCAL_RANK", "0") != "0"
        if waits:
            distributed.barrier()
        result = work()
        if not waits:
            distributed.barrier()
        return result

    def gather(self, content):
        """A list of every process's content on rank 0; None on the others, and where a process is
        lost (then `lost` says so)."""
        if self.count == 1:
            return [content]
        import torch.distributed as distributed

        signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C would part the processes
        everything = [None] * self.count if self.first else None
        try:
            if not self.lost:
                distributed.gather_object(content, everything)
        except (RuntimeError, KeyboardInterrupt):
            self.lost = True
        return None if self.lost else everything

    def broadcast(self, content):
        """Rank 0's content, everywhere."""
        if self.count == 1:
            return content
        import torch.distributed as distributed

        box = [content]
        distributed.broadcast_object_list(box)
        return box[0]

    def leave(self, folder):
        """The status of a process other than the first, whose files rank 0 has written anew."""
        import torch.distributed as distributed

        folder.discard()
        distributed.destroy_process_group()
        return 0

    def report_loss(self, folder):
        """End the run after a lost process: one line, status 2."""
        sys.stdout.flush()
        raise ProcessLost(
            f"a process of this run was lost; the networks of process {self.rank} of {self.count} "
            f"are kept in {folder}"
        )

    def _terminated(self, *_):
        self.lost = True
        raise KeyboardInterrupt


def share_out(args, n_networks, group_size=1):
    """Start the other processes; called first thing after parsing."""
