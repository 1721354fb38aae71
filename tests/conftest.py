"""What tests of scripts share: run a command, find its folder, interrupt it; images on disk."""

import json
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config):
    """The whole suite takes every core, file by file, where pytest-xdist is there; -n 0: one."""
    whole = not config.option.file_or_dir and not hasattr(config, "workerinput")
    if whole and config.pluginmanager.hasplugin("xdist") and config.option.numprocesses is None:
        config.option.numprocesses, config.option.dist = "auto", "loadfile"


@pytest.fixture(autouse=True)
def one_thread():
    """Tests compute on one thread: several wait for each other wherever something else runs."""
    import torch

    torch.set_num_threads(1)
    torch.set_flush_denormal(False)  # a script that ran in this process may have set it


@pytest.fixture(scope="session")
def c_compiler():
    """Skips a test where scan.c cannot be compiled."""
    from anbn import compiled

    if compiled.load() is None:
        pytest.skip("no C compiler")


class Commands:
    """Runs the scripts of this checkout, each in a process of its own, on one thread."""

    def __init__(self):
        self.started = []

    def start(self, line, *more, env=None, cwd=None, processes=1, **popen):
        """Popen of a command line such as "xor_main.py --hid 4"; `more` are further words."""
        script, *words = line.split()
        torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
        launcher = [*torchrun, str(processes)] if processes > 1 else []
        file = ROOT / ("tests" if script == "toy.py" else "scripts") / script
        command = [sys.executable, *launcher, str(file), *words]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "200", **(env or {})}
        # A process started in the background may inherit that SIGINT is ignored.
        reset = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.default_int_handler)}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        options = {"cwd": cwd, "env": environment, **pipes, **reset, **popen}
        self.started.append(subprocess.Popen([*command, *map(str, more)], **options))
        return self.started[-1]

    @staticmethod
    def end(process):
        """End a process that still runs; a launcher ends those that it has started."""
        process.terminate()
        try:
            process.communicate(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def end_all(self):
        """End what a test that failed has left running."""
        for process in self.started:
            if process.poll() is None:
                self.end(process)
        self.started.clear()

    def finish(self, process, status=0, timeout=240):
        """The CompletedProcess, its exit status checked: a number, or several that are allowed."""
        try:
            out, errors = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            self.end(process)
            raise
        allowed = (status,) if isinstance(status, int) else status
        assert process.returncode in allowed, f"{process.args}\n{out}\n{errors}"
        return subprocess.CompletedProcess(process.args, process.returncode, out, errors)

    def run(self, line, *more, status=0, timeout=240, **options):
        """Start and finish."""
        return self.finish(self.start(line, *more, **options), status, timeout)

    @staticmethod
    def folder(done):
        """The run folder, which the last line printed names."""
        last = done.stdout.splitlines()[-1]
        assert last.startswith("Run folder: "), last
        return Path(last.removeprefix("Run folder: "))

    def summary(self, done):
        return json.loads((self.folder(done) / "summary.json").read_text())

    def interrupt(self, process, after, **options):
        """Ctrl-C once a printed line contains `after`; the CompletedProcess of what followed."""
        for line in process.stdout:
            if after in line:
                break
        else:
            raise AssertionError(f"{after!r} was not printed: {process.stderr.read()}")
        process.send_signal(signal.SIGINT)
        return self.finish(process, **{"status": 130, **options})


COMMANDS = Commands()


def pytest_collection_modifyitems(items):
    for item in items:
        if "commands" in item.fixturenames:
            item.add_marker("slow")


@pytest.fixture(scope="session")
def commands():
    return COMMANDS


@pytest.fixture(autouse=True)
def nothing_left_running():
    yield
    COMMANDS.end_all()


@pytest.fixture
def within(capsys, monkeypatch):
    """Run a script in this process, and no other: within(module, *words) -> CompletedProcess. For
    commands whose imports would take longer than their work; so would its figures, which are made,
    but drawn only if asked for."""
    import common.processes
    from common.options import run
    from common.run_folder import RunFolder

    draw = RunFolder.save_figure
    monkeypatch.setattr(RunFolder, "save_figure", lambda self, _, name: self.save_text(name, name))

    def call(script, *words, drawn=False):
        if drawn:
            monkeypatch.setattr(RunFolder, "save_figure", draw)
        line = [script.__file__, *map(str, words)]
        monkeypatch.setattr(sys, "argv", line)
        monkeypatch.setattr(common.processes, "usable_cores", lambda: 1)
        handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        memory = resource.getrlimit(resource.RLIMIT_DATA)  # what is free, for processes to come too
        try:
            with pytest.raises(SystemExit) as caught:
                run(script.main)
        finally:
            resource.setrlimit(resource.RLIMIT_DATA, memory)
            for number, handler in handlers.items():
                signal.signal(number, handler)
        shown = capsys.readouterr()
        return subprocess.CompletedProcess(line, caught.value.code, shown.out, shown.err)

    return call


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """300 training and 100 test images in the official files' format."""
    from test_kuzu_data import write

    from kuzu.data import load_kana

    folder = tmp_path_factory.mktemp("data")
    raw = folder / "KMNIST" / "raw"
    raw.mkdir(parents=True)
    write(raw, load_kana(300, 100, seed=2))
    return folder
