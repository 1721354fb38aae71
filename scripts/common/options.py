"""What all command lines share: one option spelling, one error line, exit statuses; no torch.

Exit status: 0 done, 1 trained but nothing solved, 2 bad input, 130 interrupted with Ctrl-C.
"""

import argparse
import contextlib
import difflib
import math
import os
import re
import signal
import sys
import time
import warnings

import common
from common import first_process, launched, on_interrupt, say

PACKAGES = ("kuzu", "xor", "anbn")
NEEDED = ("torch", "torchvision", "numpy", "matplotlib")
OUT_OF_MEMORY = re.compile(  # as torch and Python word it
    r"can't allocate|bad_alloc|out of memory|(calculation|multiplication) overflow|int too large"
)


class BadInput(Exception):
    """Something the user gave cannot be used; the message says what is wrong and what to do."""


class ProcessLost(Exception):
    """One of the processes that share a run is gone."""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser that takes `--set_weights` and `--set-weights` alike, shows every default
    that is not None, and raises BadInput, one line, for a mistake."""

    def __init__(self, **kwargs):
        super().__init__(allow_abbrev=False, formatter_class=_Help, **kwargs)

    def parse_args(self, args=None, namespace=None):
        args = [_underscored(word) for word in (sys.argv[1:] if args is None else args)]
        for before, word in zip(["", *args], args, strict=False):
            name, equals, value = word.partition("=")
            if not word or (word.startswith("--") and equals and not value):
                option = name or (before if before.startswith("--") else "an argument")
                self.error(f"{option} is empty: give it a value")
        parsed, unknown = self.parse_known_args(args, namespace)
        if unknown:
            name = unknown[0].split("=")[0]
            close = difflib.get_close_matches(name, self._option_string_actions, n=1, cutoff=0.7)
            hint = f"; did you mean {close[0]}?" if close else ""
            self.error(f"unknown argument {unknown[0]}{hint}")
        return parsed

    def error(self, message):
        raise BadInput(f"{message} (--help lists the options)")


class _Help(argparse.RawDescriptionHelpFormatter):
    def _get_help_string(self, action):
        hidden = action.default in (None, argparse.SUPPRESS) or action.nargs == 0
        told = hidden or "default" in action.help
        return action.help if told else f"{action.help} (default: %(default)s)"


def _underscored(argument):
    if not argument.startswith("--"):
        return os.path.expanduser(argument)
    name, equals, value = argument.partition("=")
    return "--" + name[2:].replace("-", "_") + equals + os.path.expanduser(value)


def number(kind=float, least=-math.inf, above=-math.inf, most=None):
    """An argparse type: a finite `kind` (int or float) within the given bounds; an int is at most
    a thousand million unless `most` says otherwise."""
    if most is None:
        most = 10**9 if kind is int else math.inf

    def parse(text):
        try:
            value = kind(text)
        except ValueError:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from None
        if kind is float and not math.isfinite(value):
            raise argparse.ArgumentTypeError(f"{text} is not a finite number")
        if value < least:
            raise argparse.ArgumentTypeError(f"{text} is too small, it must be at least {least}")
        if value <= above:
            raise argparse.ArgumentTypeError(f"{text} must be above {above}")
        if value > most:
            raise argparse.ArgumentTypeError(f"{text} is too large, it must be at most {most:,}")
        return value

    return parse


def add_flag(group, name, help):
    """Add a switch that also takes a value, as older scripts spell it: `--embed`, `--embed True`,
    `--embed False`."""

    def boolean(text):
        if text.lower() in ("true", "1", "yes", "false", "0", "no"):
            return text.lower() in ("true", "1", "yes")
        raise argparse.ArgumentTypeError(f"{text!r} is neither True nor False")

    options = {"nargs": "?", "const": True, "default": False, "type": boolean, "metavar": "BOOL"}
    group.add_argument(name, help=help, **options)


def _processes(text):
    return text if text == "auto" else number(int, 1, most=4096)(text)


def add_shared(parser, seeds=1, seeds_help="train this many networks with consecutive seeds"):
    """Add the options every training script takes."""
    group = parser.add_argument_group("run")
    add = group.add_argument
    add("--seed", type=number(int, 0, most=2**63 - 1), default=0, help="seed of all randomness")
    add("--seeds", type=number(int, 1, most=10**6), default=seeds, help=seeds_help)
    help = "auto: kuzu_main.py takes an accelerator that agrees with the CPU, the others stay on it"
    add("--device", choices=("auto", "cpu", "cuda", "mps"), default="auto", help=help)
    help = "share the networks out over N processes; auto: as many as there are cores, where there "
    help += "are networks enough"
    add("--processes", type=_processes, default="auto", metavar="N", help=help)
    add_flag(group, "--no_cuda", "stay on the CPU, the same as --device cpu")
    help = "the run's folder is made in here"
    add("--out", "--out_path", dest="out", metavar="DIR", default="results", help=help)
    add_flag(group, "--quiet", "print the final results only")


def run(main):
    """Run a script's `main()` and end with its exit status.

    Bad input, a file that cannot be read or written, too little memory, a package that is not
    installed and the errors our own packages raise for users end in one line and status 2; anything
    else is a bug of ours and keeps its traceback.
    """
    _isolate()
    saved = False
    try:
        status = main() or 0
        sys.stdout.flush()
        saved = True
    except BrokenPipeError:  # as in `xor_main.py | head`: whoever read us has had enough
        status = 128 + 13  # what a shell reports for SIGPIPE
    except KeyboardInterrupt:
        status = 130
        if first_process():
            say("interrupted")
    except Exception as error:
        message = _message(error)
        if message is None:
            raise
        status = 2
        if launched() and (not first_process() or isinstance(error, ProcessLost)):
            # Another process says what is wrong, and the launcher then ends this one; if not, the
            # fault is here alone.
            on_interrupt(signal.SIG_DFL)
            time.sleep(5)
        say(f"error: {message}")
    common.ended(saved)
    on_interrupt(signal.SIG_DFL)  # nothing is left to be kept
    try:
        sys.stdout.flush()
    except OSError:  # nobody reads what is left, or there is no room for it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _isolate():
    """Make the process independent of what it inherits: output of any encoding or none, figures
    with a backend of our own, and no more memory than is free, so that too large a run ends in a
    MemoryError and is not killed by the system."""
    sys.stdout = sys.stdout or open(os.devnull, "w")  # it is None if closed, as by `>&-`
    sys.stderr = sys.stderr or open(os.devnull, "w")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    os.environ["MPLBACKEND"] = "agg"
    warnings.filterwarnings("ignore", "Glyph .* missing")  # a symbol's box in a figure says it
    with contextlib.suppress(ImportError, OSError, ValueError, TypeError):  # Linux alone
        import resource

        with open("/proc/meminfo") as file:
            free = 1024 * int(re.search(r"MemAvailable: *(\d+)", file.read())[1])
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (free, hard))


def _message(error):
    """What to tell the user of an error, in one line; None if it is a bug of ours."""
    text = " ".join(str(error).split())
    if isinstance(error, ModuleNotFoundError) and error.name in NEEDED:
        return f"{error.name} is not installed: python -m pip install {' '.join(NEEDED)}"
    if isinstance(error, MemoryError) or (
        isinstance(error, (RuntimeError, OverflowError)) and OUT_OF_MEMORY.search(text)
    ):
        asked = re.search(r"allocate (\d{10,}) bytes", text)
        asked = f" for {int(asked[1]) / 1e9:,.0f} GB in one piece" if asked else ""
        return f"not enough memory{asked}: use fewer or smaller networks, or smaller batches"
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename or 'cannot write the output'}: {error.strerror}"
    ours = type(error).__module__.split(".")[0] in PACKAGES
    return text if ours or isinstance(error, (BadInput, ProcessLost, OSError)) else None
