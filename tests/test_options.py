"""Command lines, exit statuses and what a script inherits from its environment."""

import argparse
import os
import re
import shlex
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import common
from common.options import BadInput, Parser, add_flag, add_shared, number, run

ROOT = Path(__file__).resolve().parents[1]


def parse(*words):
    parser = Parser(prog="x.py")
    parser.add_argument("--lang")
    parser.add_argument("--n_most", type=number(int, 1))
    parser.add_argument("--lr", type=number(float, above=0, most=10))
    add_flag(parser, "--set_weights", "a flag")
    add_shared(parser)
    return parser.parse_args([str(word) for word in words])


@pytest.fixture
def ended(within):
    """ended(error): (exit status, stderr lines) of a script whose main raises `error`."""

    def call(error):
        def main():
            raise error

        done = within(SimpleNamespace(main=main, __file__="script.py"))
        return done.returncode, done.stderr.splitlines()

    return call


def test_both_spellings_and_old_flags():
    for words in (["--set_weights"], ["--set-weights"], ["--set-weights", "True"]):
        assert parse(*words).set_weights is True
    assert parse("--set_weights=False").set_weights is False
    assert parse("--n-most=7").n_most == 7 and parse("--out_path", "net").out == "net"


def test_a_tilde_is_the_home_folder(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    assert parse("--out=~/x").out == "/home/someone/x"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--lang="], "--lang is empty"),
        (["--lang", ""], "--lang is empty"),
        (["--set-weights="], "--set_weights is empty"),
        ([""], "an argument is empty"),
        (["--n_most", "1e3"], "'1e3' is not a whole number"),
        (["--n_most", "0"], "at least 1"),
        (["--n_most", str(10**12)], "at most 1,000,000,000"),
        (["--n_most", "9" * 5000], "--n_most"),
        (["--seed", 2**63], "at most 9,223,372,036,854,775,807"),
        (["--seed", "-1"], "at least 0"),
        (["--lr", "inf"], "not a finite number"),
        (["--lr", "nan"], "not a finite number"),
        (["--lr", "0"], "above 0"),
        (["--lr", "11"], "at most 10"),
        (["--lr", "ten"], "is not a number"),
        (["--processes", "0"], "--processes"),
        (["--processes", "many"], "--processes"),
        (["--seedz", "3"], "did you mean --seed"),
        (["--device", "tpu"], "--device"),
        (["--set_weights", "perhaps"], "neither True nor False"),
    ],
)
def test_a_mistake_is_named(words, message):
    with pytest.raises(BadInput) as caught:
        parse(*words)
    assert message in str(caught.value) and "\n" not in str(caught.value)


def test_the_largest_seed_is_one():
    assert parse("--seed", 2**63 - 1).seed == 2**63 - 1


def test_help_shows_every_default(capsys):
    with pytest.raises(SystemExit):
        parse("--help")
    text = " ".join(capsys.readouterr().out.split())
    assert "seed of all randomness (default: 0)" in text and "(default: auto)" in text


class Diverged(ArithmeticError):
    pass


Diverged.__module__ = "anbn.train"  # an error that a package raises for users


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (BadInput("two\nlines"), "two lines"),
        (Diverged("the loss is NaN"), "the loss is NaN"),
        (FileNotFoundError(2, "No such file or directory", "a.pt"), "a.pt: No such file"),
        (OSError(28, "No space left on device"), "cannot write the output: No space left"),
        (ModuleNotFoundError("No module named 'torch'", name="torch"), "pip install torch"),
        (MemoryError(), "not enough memory: use fewer or smaller networks"),
        (RuntimeError("can't allocate memory: you tried to allocate 65536 bytes"), "memory: use"),
    ],
)
def test_an_error_for_the_user_is_one_line(error, message, ended):
    status, lines = ended(error)
    assert status == 2 and len(lines) == 1 and ": error: " in lines[0] and message in lines[0]


@pytest.mark.parametrize("shape", [(10**13, 1000), (2**62, 1), (2**40, 2**40)])
def test_a_tensor_that_does_not_fit(shape, ended):
    with pytest.raises(RuntimeError) as caught:
        torch.empty(shape)
    status, lines = ended(caught.value)
    assert status == 2 and len(lines) == 1 and "error: not enough memory" in lines[0]


def test_a_bug_keeps_its_traceback():
    for bug in (KeyError("x"), RuntimeError("shapes cannot be multiplied"), OverflowError("odd")):
        with pytest.raises(type(bug)):
            run(lambda bug=bug: exec("raise bug", {"bug": bug}))


def script(tmp_path, body):
    """A script that shares what ours share, and the command that runs it."""
    path = tmp_path / "script.py"
    head = f"import sys\nsys.path.insert(0, {str(ROOT / 'scripts')!r})\n"
    head += "from common.options import run\n"
    path.write_text(head + textwrap.dedent(body) + "\nrun(main)\n", encoding="utf-8")
    return [sys.executable, str(path)]


KANA = """
def main():
    print("\\u304a", flush=True)
    print("\\u304a", file=sys.stderr)
"""


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "cp1252"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_what_a_terminal_cannot_show_is_replaced(environment, tmp_path):
    environment = {**os.environ, **environment}
    done = subprocess.run(script(tmp_path, KANA), env=environment, capture_output=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"?\n", b"?\n")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_closed_streams_do_not_matter(closed, tmp_path):
    line = shlex.join(script(tmp_path, KANA))
    done = subprocess.run(f"{line} {closed}", shell=True, capture_output=True)
    assert done.returncode == 0 and b"Error" not in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_no_room_for_the_output(tmp_path):
    with open("/dev/full", "w") as full:
        line = script(tmp_path, KANA)
        done = subprocess.run(line, stdout=full, stderr=subprocess.PIPE, encoding="utf-8")
    assert done.returncode == 2
    assert done.stderr == "script.py: error: cannot write the output: No space left on device\n"


def interrupted(line, number, ready="ready", **environment):
    process = subprocess.Popen(
        line,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    assert process.stdout.readline() == ready + "\n"
    process.send_signal(number)
    out, errors = process.communicate(timeout=30)
    return process.returncode, out, errors


SWALLOWS = """
import time
print("ready", flush=True)
try:
    time.sleep(20)
except BaseException:
    raise ImportError("as a package whose import is interrupted may say")
"""
IMPORTS = """
def main():
    import swallows
"""
TRAINS = """
def main():
    import time
    try:
        print("ready", flush=True)
        time.sleep(20)
    except KeyboardInterrupt:
        print("kept")
        return 130
    finally:
        print("cleaned")
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt(number, tmp_path):
    (tmp_path / "swallows.py").write_text(SWALLOWS)
    line = script(tmp_path, IMPORTS)
    assert interrupted(line, number) == (130, "", "script.py: interrupted\n")
    assert interrupted(script(tmp_path, TRAINS), number) == (130, "kept\ncleaned\n", "")


def test_an_interrupt_that_nothing_expects(tmp_path):
    body = """
    def main():
        import time
        print("ready", flush=True)
        time.sleep(20)
    """
    line = script(tmp_path, body)
    assert interrupted(line, signal.SIGINT) == (130, "", "script.py: interrupted\n")


@pytest.mark.parametrize("name", ["kuzu_main", "xor_main", "seq_train", "bench"])
def test_scripts_are_interrupted_without_a_traceback(name, tmp_path):
    """Among their imports, which take a second or more."""
    (tmp_path / "torch.py").write_text(SWALLOWS)
    line = [sys.executable, str(ROOT / "scripts" / f"{name}.py")]
    found = interrupted(line, signal.SIGINT, PYTHONPATH=str(tmp_path))
    assert found == (130, "", f"{name}.py: interrupted\n")


@pytest.mark.parametrize(
    "name", ["kuzu_main", "xor_main", "seq_train", "seq_plot", "report", "bench"]
)
def test_help_needs_no_torch_and_answers_a_mistake_in_one_line(name, commands):
    line = [sys.executable, "-X", "importtime", ROOT / "scripts" / f"{name}.py", "--help"]
    done = subprocess.run(line, capture_output=True, encoding="utf-8")
    assert done.returncode == 0 and done.stdout.startswith("usage: ")
    modules = set(re.findall(r"\| +([\w.]+)$", done.stderr, re.M))
    assert "argparse" in modules and not modules & {"torch", "numpy", "matplotlib"}
    done = commands.run(f"{name}.py --no-such-option", status=2)
    assert re.fullmatch(rf"{name}.py: error: unknown argument --no_such_option.*\n", done.stderr)


def test_without_torch_one_line_says_what_to_install(tmp_path):
    (tmp_path / "torch.py").write_text("raise ModuleNotFoundError('torch', name='torch')\n")
    line = script(tmp_path, "def main():\n    import torch\n")
    done = subprocess.run(line, capture_output=True, encoding="utf-8")
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert "python -m pip install torch torchvision numpy matplotlib" in done.stderr


def test_a_number_type_is_an_argparse_type():
    assert number(int, 1)("3") == 3 and number(float)("1e300") == 1e300
    with pytest.raises(argparse.ArgumentTypeError):
        number(int, most=2**63 - 1)(str(2**63))
    assert common.launched() is False and common.first_process() is True
