"""The same computation many times over on a GPU: recorded once, then replayed in one launch.

A training step of small networks is hundreds of small kernels, and starting one takes longer than
it runs. A CUDA graph holds them all and is started once (https://pytorch.org/docs/stable/notes/
cuda.html, "CUDA Graphs").
"""

import torch

WARM_UP = 3  # runs before recording, in which libraries choose their kernels and allocate


class Replayed:
    """`work`, a function of tensors that returns tensors, recorded once for every shape of its
    arguments.

    work may read other tensors (parameters) but must change none. capture: see `cuda_graph`.
    What a call returns is overwritten by the next call with the same shapes.
    """

    def __init__(self, work, capture=None):
        self.work, self.capture = work, capture or cuda_graph
        self.recorded = {}  # by shapes: the arguments' places, replay, the results' places

    def __call__(self, *tensors):
        shapes = tuple(tensor.shape for tensor in tensors)
        if shapes not in self.recorded:
            places = [tensor.clone() for tensor in tensors]
            self.recorded[shapes] = places, *self.capture(self.work, places)
        places, replay, results = self.recorded[shapes]
        for place, tensor in zip(places, tensors, strict=True):
            place.copy_(tensor)
        replay()
        return results


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


def replayed(work, device):
    """`work` itself, or on a GPU its replay."""
    return Replayed(work) if device.type == "cuda" else work
