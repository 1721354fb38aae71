"""The history of a run: what its figures and its summary need of the Records of its training."""

import torch

from xor.model import MLP, losses, points_right
from xor.train import REPORT_EVERY, joined, untrained

MAX_CURVES = 100  # networks whose loss and accuracy are kept of every epoch
CHUNK_SIZE = 1_000_000  # logits kept until their losses are computed, many epochs at once


class History:
    """The networks of a run and the Records of their training: those of every REPORT_EVERY-th epoch
    and the last, and loss and accuracy of the first networks at every epoch. What is kept of an
    epoch is on the CPU, the networks are once it is closed."""

    def __init__(self, model, inputs, targets, seeds=None):
        self.model, self.seeds = model, list(seeds or range(model.n_networks))
        self.inputs, self.targets = inputs.cpu(), targets.cpu()
        start = untrained(model, inputs, targets)
        self.last = start.then(0, start.logits)
        self.reports = []
        self._recent = []  # logits (C, N) of an epoch
        self._curves = [torch.empty(2, 0, min(model.n_networks, MAX_CURVES))]  # (2, E, C)

    def add(self, record):
        """Take in the next Record; returns whether it is one to report."""
        self.last = record
        self._recent.append(record.logits[:MAX_CURVES].cpu().clone())
        if len(self._recent) * self._recent[0].numel() > CHUNK_SIZE:
            self.curves()
        if record.epoch % REPORT_EVERY:
            return False
        self.reports.append(record.cpu())
        return True

    def curves(self):
        """Loss and accuracy (2, E, C) of the first C networks at epochs 1..E, an array."""
        if self._recent:
            logits = torch.stack(self._recent)  # (E, C, N)
            accuracy = 100 * points_right(logits, self.targets).float().mean(-1)
            self._curves.append(torch.stack([losses(logits, self.targets), accuracy]))
            self._recent = []
        return torch.cat(self._curves, dim=1).numpy()

    def close(self, interrupted=False):
        """To be called after the last Record; returns whether that one is still to be reported.
        Where training was interrupted, the networks may have come further."""
        self.model, self.last = self.model.cpu(), self.last.cpu()
        if interrupted:
            logits = self.model.logits(self.inputs).detach()
            self.last = self.last.then(self.last.epoch, logits)
        if self.last.epoch % REPORT_EVERY == 0:
            return False
        self.reports.append(self.last)
        return True

    def merge(self, histories):
        """Become the history of all processes' networks. Where a process has ended earlier its last
        report stays; the curves are those of the first one."""
        weights = zip(*(history.model.parameters() for history in histories), strict=True)
        self.model = MLP(*(torch.cat(parts).data for parts in weights), act=self.model.act)
        self.seeds = [seed for history in histories for seed in history.seeds]
        longest = max(len(history.reports) for history in histories)
        padded = [[*h.reports, *[h.last] * (longest - len(h.reports))] for h in histories]
        self.reports = [joined(records) for records in zip(*padded, strict=True)]
        self.last = joined([history.last for history in histories])

    def rows(self):
        """One dict per report."""
        return [means(record) for record in self.reports]


def means(record):
    """Loss and accuracy of a Record, the means over all networks, and how many have solved it."""
    loss, accuracy = record.loss.mean().item(), record.accuracy.mean().item()
    solved = int(record.solved.sum())
    return {"epoch": record.epoch, "loss": loss, "accuracy": accuracy, "solved": solved}


def progress_line(record):
    """The coursework's line; for several networks their means, and how many have solved it."""
    row, n = means(record), len(record.draws)
    text = "ep:{epoch:5d} loss: {loss:.4f} acc: {accuracy:.2f}".format(**row)
    return text if n == 1 else f"{text} solved: {row['solved']}/{n}"
