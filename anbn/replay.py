"""The same computation many times over on a GPU: recorded once, then replayed in one launch.

A training step of small networks is hundreds of small kernels, and starting one takes longer than
it runs. A CUDA graph holds them all and is started once (https://pytorch.org/docs/stable/notes/
cuda.html, "CUDA Graphs").
"""

import torch

WARM_UP = 3  # runs before recording, in which libraries choose their kernels and allocate


class Replayed:
    """`work`, a function of tensors that returns a tuple of tensors, recorded once for every shape
    of its arguments.

    work may read other tensors, and change those named in `changes` (weights, moments), in place.
    capture: see `cuda_graph`. What a call returns is overwritten by the next call with the same
    shapes.
    """

    def __init__(self, work, changes=(), capture=None):
        self.work, self.changes, self.capture = work, list(changes), capture or cuda_graph
        self.recorded = {}  # by shapes: the arguments' places, replay, the results' places

    def __call__(self, *tensors):
        shapes = tuple(tensor.shape for tensor in tensors)
        if shapes not in self.recorded:
            places = [tensor.clone() for tensor in tensors]
            self.recorded[shapes] = places, *self._record(places)
        places, replay, results = self.recorded[shapes]
        for place, tensor in zip(places, tensors, strict=True):
            place.copy_(tensor)
        replay()
        return results

    @torch.no_grad()
    def _record(self, places):
        """capture's answer; the runs that recording takes leave no trace in `changes`."""
        before = [tensor.clone() for tensor in self.changes]
        with torch.enable_grad():
            recorded = self.capture(self.work, places)
        for tensor, value in zip(self.changes, before, strict=True):
            tensor.copy_(value)
        return recorded


def cuda_graph(work, places):
    """Record work(*places); returns a function that runs it again, and where its results lie."""
    beside = torch.cuda.Stream()
    beside.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(beside):
        for _ in range(WARM_UP):
            work(*places)
    torch.cuda.current_stream().wait_stream(beside)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = work(*places)
    return graph.replay, results


def sent(tensor, device):
    """A small CPU tensor on the device, without waiting until that has done what it was given: from
    memory that is not pinned a GPU may."""
    if device.type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


def replayed(work, device, changes=()):
    """`work` itself, or on a GPU its replay."""
    return Replayed(work, changes) if device.type == "cuda" else work
