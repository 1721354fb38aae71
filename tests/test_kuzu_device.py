"""Memory that is asked for; an accelerator that fails or computes something else."""

from dataclasses import replace

import pytest
import torch

from kuzu import device
from kuzu.data import load_kana
from kuzu.device import (
    DeviceError,
    check_device,
    limit_threads,
    usable_device,
)
from kuzu.recipes import CLASSIC, TUNED

CPU, META = torch.device("cpu"), torch.device("meta")


@pytest.fixture(scope="module")
def data():
    return load_kana(100, 10)


@pytest.mark.parametrize("net", ["lin", "full", "conv"])
@pytest.mark.parametrize("tuned", [False, True])
def test_the_cpu_computes_as_the_cpu(net, tuned, data):
    check_device(CPU, net, 20, TUNED[net] if tuned else CLASSIC, data)


def test_a_device_that_fails(data):
    """The meta device computes no numbers."""
    with pytest.raises(DeviceError, match="meta fails: ") as caught:
        usable_device(META, False, "conv", 100, CLASSIC, data)
    assert "\n" not in str(caught.value)
    usable, trouble = usable_device(META, True, "conv", 100, CLASSIC, data)
    assert usable == CPU and trouble.endswith("the CPU is used instead.")
    assert usable_device(CPU, True, "conv", 100, CLASSIC, data) == (CPU, None)


@pytest.mark.parametrize("call", [0, 1])
def test_a_device_that_computes_something_else(data, monkeypatch, call):
    """In the first batch, or only in the second, after wrong gradients."""
    run_epoch, calls = device.run_epoch, []

    def wrong(*args):
        outputs = run_epoch(*args)
        calls.append(outputs)
        if len(calls) == 2:  # the first is the CPU's
            outputs[call * 64] *= 3
        return outputs

    monkeypatch.setattr(device, "run_epoch", wrong)
    with pytest.raises(DeviceError, match="finds a loss of"):
        check_device(CPU, "lin", 100, CLASSIC, data)


def test_gradients_count_where_a_batch_has_more_than_all_images(data, monkeypatch):
    run_epoch, outputs = device.run_epoch, []

    def kept(*args):
        outputs.append(run_epoch(*args))
        return outputs[-1]

    monkeypatch.setattr(device, "run_epoch", kept)
    check_device(CPU, "lin", 100, replace(CLASSIC, batch_size=1000), data)
    first, second = outputs[0].split(100)  # of the same images, before and after an update
    assert not torch.allclose(first, second)


def test_small_networks_take_few_threads(monkeypatch):
    wanted = []
    monkeypatch.setattr(torch, "set_num_threads", wanted.append)
    for threads in (16, 1):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        for net in ("lin", "full", "conv"):
            limit_threads(net)
    assert wanted == [1, 2, 16, 1, 1, 1]
