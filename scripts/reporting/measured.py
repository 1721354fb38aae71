"""Experiments measured for the report: run as a user would, kept as files, read again; and the
Markdown that is written from them."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from common.options import BadInput
from common.run_folder import write_whole

ROOT = Path(__file__).resolve().parents[2]
FIRST_SEED = 20_000  # no recipe, and not the difficulty of the built-in images, was chosen on these


class Measured:
    """The experiments of one part, as files under `folder`/<part>/. quick: fewer of them; data_dir:
    where the images of Part 1 lie, if given."""

    def __init__(self, folder, part, quick=False, data_dir=None):
        self.folder, self.part, self.quick = Path(folder) / part, part, quick
        self.data_dir = data_dir

    def run(self, name, command, figures=(), then=(), unshown=""):
        """Run a command line such as "xor_main.py --act step", keep its summary.json with the
        command, where it ran and the seconds it took, and copy the named figures of its run folder.
        `then` are command lines run on that run folder, whose figures and summaries are kept as
        well; `unshown` are options that change nothing that is reported."""
        shown, target = "python scripts/" + command, self.folder / name
        print(f"{self.part}/{name}: {shown}", flush=True)
        with tempfile.TemporaryDirectory() as out:
            start = time.perf_counter()
            folder = call(f"{command} {unshown} --quiet --out {shlex.quote(out)}")
            seconds = time.perf_counter() - start
            config, summary = (read_json(folder / f"{file}.json") for file in ("config", "summary"))
            folders = [folder]
            for line in then:
                more = call(f"{line} --run {shlex.quote(str(folder))} --out {shlex.quote(out)}")
                found = read_json(more / "summary.json")
                found.pop("plot_of", None)  # a temporary folder
                summary[line.split(".")[0]] = found
                folders.insert(0, more)
            target.mkdir(parents=True, exist_ok=True)
            for path in (source / figure for source in folders for figure in figures):
                if path.exists():
                    shutil.copy(path, target)
        where = {key: config.get(key) for key in ("device", "versions", "git_commit", "started")}
        run = {"command": shown, "seconds": round(seconds, 1), **where}
        text = json.dumps({"run": run, **summary}, indent=1) + "\n"
        write_whole(target / "summary.json", text)
        print(f"    {self.part}/{name} took {seconds:.1f} s", flush=True)

    def run_all(self, experiments):
        """Run experiments, each the arguments of `run`, as many at a time as there are cores."""
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            runs = [pool.submit(self.run, *e, unshown="--processes 1") for e in experiments]
            for run in runs:
                run.result()

    def __getitem__(self, name):
        """The summary of an experiment. Raises BadInput if it was never run, or is broken."""
        path = self.folder / name / "summary.json"
        try:
            return read_json(path)
        except (OSError, ValueError) as error:
            what = "is missing" if isinstance(error, OSError) else f"is broken ({error})"
            raise BadInput(f"{path} {what}: measure it with --only {self.part}") from None

    def has(self, name):
        return (self.folder / name / "summary.json").exists()

    def those_of(self, names):
        """{name: summary} of those experiments that were run; a quick report runs fewer."""
        return {name: self[name] for name in names if self.has(name)}

    def where(self, *names):
        """The machine, date and version of experiments, in words. Of several places: which run was
        in which."""
        places = {}
        for name, found in self.those_of(names).items():
            run = found["run"]
            day, torch = run["started"][:8], run["versions"]["torch"]
            place = f"on {run['device']}, {day[:4]}-{day[4:6]}-{day[6:]}, torch {torch}"
            places.setdefault(place, []).append(name)
        *few, (most, _) = sorted(places.items(), key=lambda item: len(item[1]))
        told = [f"{', '.join(names)} {place}" for place, names in few]
        return "; ".join([*told, f"the others {most}" if told else most])

    def commands(self, names):
        """The command lines of the named experiments, as Markdown."""
        return "".join(f"    {s['run']['command']}\n" for s in self.those_of(names).values())

    def write(self, **values):
        """The section as Markdown: its template, the file beside this one, filled in. Pictures that
        were not drawn are left out; the others have their caption below as well."""
        values["notes"], notes = "", self.folder / "notes.md"
        if notes.exists():
            values["notes"] = "*Notes, written by hand: no command of this report repeats them.*"
            values["notes"] += "\n\n" + notes.read_text(encoding="utf-8")
        template = Path(__file__).with_name(f"{self.part}.md").read_text(encoding="utf-8")

        def picture(match):
            there = (self.folder.parent / match[2]).exists()
            return f"{match[0]}\n\n*{match[1]}*" if there else ""

        return re.sub(r"!\[(.*?)\]\((.*?)\)", picture, template.format(**values))


def call(command):
    """Run one of our scripts in this Python; returns its run folder, which its last line names.

    Exit status 1 (trained, nothing solved) is a result too; any other failure ends the report.
    """
    script, *options = shlex.split(command)
    line = [sys.executable, str(ROOT / "scripts" / script), *options]
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode not in (0, 1):
        raise BadInput(f"{command} ended with status {done.returncode}: {done.stderr.strip()}")
    return Path(done.stdout.splitlines()[-1].removeprefix("Run folder: "))


def read_json(path):
    return json.loads(path.read_text())


def table(header, rows):
    """A Markdown table. header: names separated by |. A cell may be several, separated likewise."""
    header = [name.strip() for name in header.split("|")]
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(str(cell) for cell in line) + " |" for line in lines) + "\n"


def success(found, bounds="success_rate_95"):
    """Two cells of a table: how many networks are solved, and the 95 % interval of the rate."""
    low, high = found[bounds]
    return f"{found['solved']} of {found['networks']} | {100 * low:.1f} to {100 * high:.1f} %"


def replace_between_markers(text, name, content):
    """`text` with what stands between the markers of `name` replaced by `content`."""
    pattern = rf"(<!-- {name}: [^\n]*-->\n).*?(<!-- end {name} -->)"
    if not re.search(pattern, text, re.S):
        raise BadInput(f"README.md has no markers for {name}")
    return re.sub(pattern, lambda m: f"{m[1]}{content.strip()}\n{m[2]}", text, flags=re.S)
