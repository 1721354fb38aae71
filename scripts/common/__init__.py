"""What the command-line scripts share: options, run folders, processes.

Imported before anything else, so that this checkout's packages are found, whatever is installed,
and Ctrl-C and SIGTERM are handled from the start.
"""

import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

begun = False  # whether there is a run folder; until then an interrupt loses nothing


def ended(saved):
    """Told at the end of a script whether everything is saved; processes.py sets its own."""


def launched():
    """Whether torch's launcher (torchrun, or ourselves) has started this process. A RANK alone, as
    other programs set it, does not say so."""
    names = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_RUN_ID")
    return all(os.environ.get(name) for name in names)


def first_process():
    """Whether this is the only process of a run, or the first of those that share it."""
    return not launched() or os.environ["RANK"] == "0"


def _interrupted(number, frame):
    """Raise KeyboardInterrupt, so that what has been trained is kept. While modules are imported
    end at once: nothing is trained then, and some of them would answer with a traceback."""
    if launched():
        signal.signal(number, signal.SIG_IGN)  # it comes twice, from the terminal and the launcher
    while frame and not frame.f_code.co_filename.startswith("<frozen importlib"):
        frame = frame.f_back
    if frame and not begun:
        if first_process():
            say("interrupted")
        os._exit(130)
    raise KeyboardInterrupt


def say(text):
    """One line on stderr that begins with the script's name."""
    print(f"{os.path.basename(sys.argv[0])}: {text}", file=sys.stderr, flush=True)


def on_interrupt(handler):
    """Call `handler` on Ctrl-C and SIGTERM, unless these are ignored, as under nohup."""
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


on_interrupt(_interrupted)
