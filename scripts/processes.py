"""Many processes, one run: torchrun starts them, the networks are shared out, rank 0 reports.

    torchrun --nproc-per-node 4 scripts/seq_train.py --seeds 256

Networks do not depend on each other, so nothing is exchanged while they train: every process takes
its part of the seeds, and rank 0 collects the networks at the end. One process without torchrun is
the same with nothing to share.
"""

import os
import signal
import sys

from options import BadInput, ProcessLost, first_process


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
        distributed.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo")
        signal.signal(signal.SIGTERM, self._terminated)
        if not self.first:
            sys.stdout = open(os.devnull, "w")
        return device

    def share(self, seeds):
        """This process's part of the seeds, neighbours together, parts as even as can be."""
        if len(seeds) < self.count:
            raise BadInput(
                f"{self.count} processes cannot share {len(seeds)} networks: start fewer processes "
                "or give a larger --seeds"
            )
        bounds = [len(seeds) * r // self.count for r in range(self.count + 1)]
        return seeds[bounds[self.rank] : bounds[self.rank + 1]]

    def gather(self, content):
        """A list of every process's content on rank 0, None on the others. If a process is gone,
        raises KeyboardInterrupt like its signal would, so that what is there is kept."""
        if self.count == 1:
            return [content]
        import torch.distributed as distributed

        everything = [None] * self.count if self.first else None
        try:
            distributed.gather_object(content, everything)
        except RuntimeError:
            self._terminated()
        return everything

    def broadcast(self, content):
        """Rank 0's content, everywhere."""
        if self.count == 1:
            return content
        import torch.distributed as distributed

        box = [content]
        distributed.broadcast_object_list(box)
        return box[0]

    def leave(self):
        """Part in peace, all having what they need."""
        if self.count > 1:
            import torch.distributed as distributed

            distributed.barrier()
            distributed.destroy_process_group()

    def _terminated(self, *_):
        self.lost = True
        raise KeyboardInterrupt

    def report_loss(self, folder):
        """End the run after a lost process: one line, status 2."""
        sys.stdout.flush()
        raise ProcessLost(
            f"a process of this run was lost; the networks of process {self.rank} of {self.count} "
            f"are kept in {folder}"
        )
