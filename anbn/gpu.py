"""The loops of scan.c on an NVIDIA GPU, compiled for it and for the size of the network.

    kernels = load(n_symbols, n_hidden, device)   # None: scan.py's operations of torch do it
    kernels.lstm_forward(...)                     # as compiled.Library's

One launch takes all networks and sequences through all steps, where torch's operations are a dozen
launches per step. The compiler, NVRTC, comes with torch and the driver with the GPU; both are
called as their manuals say (docs.nvidia.com/cuda/nvrtc, docs.nvidia.com/cuda/cuda-driver-api).
"""

import ctypes
import functools
from pathlib import Path

import torch

SOURCE = Path(__file__).with_name("scan.c")
FUNCTIONS = ("srn_forward", "srn_backward", "lstm_forward", "lstm_backward")
LARGEST = 512  # values of `across` per network; beyond, a thread's registers do not hold them
THREADS = 32  # per block: few, so that a few thousand sequences reach all parts of the GPU


@functools.cache
def load(n_symbols, n_hidden, device):
    """The Kernels for a torch.device, or None where they cannot be had."""
    try:
        with torch.cuda.device(device):
            major, minor = torch.cuda.get_device_capability()
            return Kernels(Module(compiled(f"{major}{minor}", n_symbols, n_hidden)).launch)
    except (OSError, RuntimeError, AttributeError):
        return None


def compiled(capability, n_symbols, n_hidden):
    """scan.c as a cubin for a compute capability such as "90", bytes. Raises OSError where NVRTC is
    missing, RuntimeError with its log where it fails."""
    library = ctypes.CDLL(f"libnvrtc.so.{str(torch.version.cuda).split('.')[0]}")
    program = ctypes.c_void_p()
    source = SOURCE.read_bytes()
    _check(library.nvrtcCreateProgram(ctypes.byref(program), source, b"scan.cu", 0, None, None))
    sizes = f"-DN_SYMBOLS={n_symbols}", f"-DN_HIDDEN={n_hidden}"
    options = [f"--gpu-architecture=sm_{capability}", "-DON_GPU", *sizes]
    passed = (ctypes.c_char_p * len(options))(*(option.encode() for option in options))
    try:
        if library.nvrtcCompileProgram(program, len(options), passed):
            log = _bytes_of(library, "ProgramLog", program)
            raise RuntimeError(log.rstrip(b"\0").decode(errors="replace"))
        return _bytes_of(library, "CUBIN", program)
    finally:
        library.nvrtcDestroyProgram(ctypes.byref(program))


def _bytes_of(library, what, program):
    size = ctypes.c_size_t()
    _check(getattr(library, f"nvrtcGet{what}Size")(program, ctypes.byref(size)))
    content = ctypes.create_string_buffer(size.value)
    _check(getattr(library, f"nvrtcGet{what}")(program, content))
    return content.raw


def _check(status):
    if status:
        raise RuntimeError(f"CUDA error {status}")


class Module:
    """A cubin on the current GPU."""

    def __init__(self, cubin):
        torch.cuda.init()
        torch.zeros(1, device="cuda")  # makes torch's context the current one
        self.driver = ctypes.CDLL("libcuda.so.1")
        module = ctypes.c_void_p()
        _check(self.driver.cuModuleLoadData(ctypes.byref(module), cubin))
        self.functions = {name: ctypes.c_void_p() for name in FUNCTIONS}
        for name, function in self.functions.items():
            found = self.driver.cuModuleGetFunction(ctypes.byref(function), module, name.encode())
            _check(found)

    def launch(self, name, n_threads, arguments):
        """Start a function with arguments of ctypes, a thread each, in the current stream."""
        addresses = [ctypes.addressof(argument) for argument in arguments]
        places = (ctypes.c_void_p * len(addresses))(*addresses)
        blocks = -(-n_threads // THREADS)
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        _check(
            self.driver.cuLaunchKernel(
                self.functions[name], blocks, 1, 1, THREADS, 1, 1, 0, stream, places, None
            )
        )


class Kernels:
    """The functions of scan.c, called with tensors and whole numbers, of which the first is S and
    the last B.

    launch: called as launch(name, S x B threads, arguments of ctypes). Tensors in double precision
    are sums over the sequences: every thread adds to a place of its own, and they are summed here.
    """

    def __init__(self, launch):
        self.launch = launch
        for name in FUNCTIONS:
            setattr(self, name, functools.partial(self._call, name))

    def _call(self, name, *arguments):
        sizes = [argument for argument in arguments if isinstance(argument, int)]
        tensors = list(arguments[: -len(sizes)])
        n_networks, n_batch = sizes[0], sizes[-1]
        sums = [k for k, tensor in enumerate(tensors) if tensor.dtype == torch.float64]
        for k in sums:
            tensors[k] = tensors[k].new_zeros(n_networks, n_batch, *tensors[k].shape[1:])
        for tensor in tensors:
            if not tensor.is_contiguous():
                raise ValueError(f"a tensor {tuple(tensor.shape)} is not contiguous")
        passed = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
        self.launch(name, n_networks * n_batch, [*passed, *map(ctypes.c_int, sizes)])
        for k in sums:
            arguments[k].copy_(tensors[k].sum(1))
