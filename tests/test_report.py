"""The report is written from its measurements alone, and README and report agree with them."""

import importlib
import json
import re
import shlex
import shutil
import subprocess
from html import escape
from pathlib import Path

import matplotlib
import pytest
import report

from benchmarks import growth
from common.options import BadInput
from reporting import measured

ROOT = Path(__file__).resolve().parent.parent
SECTIONS = {part: importlib.import_module(f"reporting.{part}") for part in report.PART_NAMES}
IN_README = [part for part, section in SECTIONS.items() if hasattr(section, "readme")]


def of(part):
    return measured.Measured(report.REFERENCE, part, quick=False)


@pytest.mark.parametrize("part", IN_README)
def test_readme_says_what_was_measured(part):
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    between = re.search(rf"<!-- {part}: [^\n]*-->\n(.*?)<!-- end {part} -->", readme, re.S)
    assert between and between[1].strip() == SECTIONS[part].readme(of(part)).strip()
    for line in between[1].splitlines():
        assert line.count("|") <= 7, "a table of the README has six columns at most"


@pytest.mark.parametrize("part", report.PART_NAMES)
def test_report_says_what_was_measured(part):
    text = (report.REFERENCE / "report.md").read_text(encoding="utf-8")
    assert SECTIONS[part].text(of(part)).strip() in text


def test_every_picture_shown_exists():
    text = (report.REFERENCE / "report.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert len(shown) > 20 and all((report.REFERENCE / path).is_file() for path in shown)
    readme = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text(encoding="utf-8"))
    assert len(readme) > 2 and all((ROOT / path).is_file() for path in readme)


def test_every_number_of_a_table_is_in_a_summary():
    """The success rates of the report, read again from the files beside it by other means."""
    text = (report.REFERENCE / "report.md").read_text(encoding="utf-8")
    for name in ("anbn_srn2", "anb2nc3n_srn4", "ereber_lstm4"):
        path = report.REFERENCE / "anbn" / name / "summary.json"
        found = json.loads(path.read_text())
        solved = sum(network["solved"] for network in found["networks_best_first"])
        row = re.search(rf"\| {re.escape(SECTIONS['anbn'].TASKS[name][1])} \| (\d+) of (\d+)", text)
        assert (int(row[1]), int(row[2])) == (solved, found["networks"])


def test_a_run_is_kept_with_its_command_and_figures(tmp_path):
    found = measured.Measured(tmp_path, "xor", quick=True)
    found.run("step", "xor_main.py --task xor --act step --hid 2", ["network.png", "none.png"])
    assert found.has("step") and not found.has("other")
    run = found["step"]["run"]
    assert run["command"] == "python scripts/xor_main.py --task xor --act step --hid 2"
    assert run["seconds"] > 0 and run["device"].startswith("cpu: ") and run["started"]
    assert run["versions"].keys() == {"python", "torch", "numpy", "matplotlib"}
    assert found["step"]["accuracy"] == 100
    assert sorted(path.name for path in (tmp_path / "xor" / "step").iterdir()) == [
        "network.png",
        "summary.json",
    ]


def test_what_was_not_measured_or_is_broken_is_named(tmp_path):
    found = measured.Measured(tmp_path, "anbn", quick=True)
    with pytest.raises(BadInput, match="is missing: measure it with --only anbn"):
        found["anbn_srn2"]
    (tmp_path / "anbn" / "anbn_srn2").mkdir(parents=True)
    (tmp_path / "anbn" / "anbn_srn2" / "summary.json").write_text('{"solved": ')
    with pytest.raises(BadInput, match="is broken"):
        found["anbn_srn2"]


def test_pictures_that_were_not_drawn_are_left_out(tmp_path, monkeypatch):
    (tmp_path / "xor" / "step").mkdir(parents=True)
    (tmp_path / "xor" / "step" / "network.png").write_bytes(b"")
    template = "![Drawn.](xor/step/network.png) ![Not drawn.](xor/step/other.png) {n}{notes}"
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: template)
    text = measured.Measured(tmp_path, "xor", quick=True).write(n=3)
    assert text == "![Drawn.](xor/step/network.png)\n\n*Drawn.*  3"


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize("part", report.PART_NAMES)
def test_every_command_can_be_typed(part, quick, tmp_path, monkeypatch):
    section, lines = SECTIONS[part], []

    def run(self, name, command, figures=(), then=(), unshown=""):
        lines.append(f"{command} {unshown} --quiet --out x")
        lines.extend(f"{line} --run x --out x" for line in then)

    monkeypatch.setattr(measured.Measured, "run", run)
    monkeypatch.setattr(measured.Measured, "__getitem__", lambda *_: {"data": "built-in"})
    monkeypatch.setattr(section, "call", lines.append, raising=False)
    section.measure(measured.Measured(tmp_path / "a folder", part, quick, str(tmp_path)))
    assert lines
    for line in lines:
        script, *words = shlex.split(line)
        importlib.import_module(script.removesuffix(".py")).parse_args(words)


@pytest.mark.slow
def test_a_place_is_that_of_the_folder_one_is_in(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    measured.call("report.py --text_only --out 'a folder'")
    assert (tmp_path / "a folder" / "report.md").exists()


def test_a_command_that_fails_ends_the_report():
    with pytest.raises(BadInput, match="status 2.*at least 1"):
        measured.call("xor_main.py --hid 0")


def test_a_place_that_cannot_be_written_to_is_found_before_measuring(within, tmp_path):
    (tmp_path / "file").write_text("")
    done = within(report, "--only", "xor", "--out", tmp_path / "file")
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and not done.stdout


def test_settings_of_the_user_do_not_change_how_growth_is_drawn():
    rows = json.loads((report.REFERENCE / "speed" / "growth.json").read_text())["growth"]
    plain = growth.draw(rows, "cpu")
    with matplotlib.rc_context({"font.size": 30, "axes.facecolor": "red"}):
        assert growth.draw(rows, "cpu") == plain


def test_table_and_markers():
    assert measured.table("a | b", [[1, 2]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    text = "x\n<!-- xor: made -->\nold\n<!-- end xor -->\ny"
    new = measured.replace_between_markers(text, "xor", "new \\1")
    assert new == "x\n<!-- xor: made -->\nnew \\1\n<!-- end xor -->\ny"
    with pytest.raises(BadInput, match="no markers"):
        measured.replace_between_markers("x", "xor", "new")


def test_a_page_with_everything_in_it(tmp_path):
    """Every heading in the table of contents, every picture in the page, nothing to fetch."""
    pytest.importorskip("markdown")
    from reporting.html import page

    text = (report.REFERENCE / "report.md").read_text(encoding="utf-8")
    made = page(text, report.REFERENCE)
    for heading in re.findall(r"^##+ (.*)$", text, re.M):
        assert made.count(escape(heading, quote=False)) >= 2, heading
    pictures = re.findall(r"!\[", text)
    assert made.count('src="data:image/') == len(pictures) > 20
    assert not re.search(r'(src|href)="(?!data:|#)', made)
    for command in re.findall(r"^    (python .*)$", text, re.M):
        assert escape(command, quote=False) in made
    with pytest.raises(BadInput, match="none.png cannot be read"):
        page("# T\n![x](none.png)", tmp_path)


@pytest.mark.slow
def test_the_page_in_a_browser(tmp_path):
    """Headless Chromium shows it and prints it, pictures included."""
    pytest.importorskip("markdown")
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        pytest.skip("no browser")
    from reporting.html import page

    file = tmp_path / "report.html"
    text = (report.REFERENCE / "report.md").read_text(encoding="utf-8")
    file.write_text(page(text, report.REFERENCE), encoding="utf-8")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    options += ["--disable-sync", "--no-first-run", f"--user-data-dir={tmp_path / 'profile'}"]
    line = [browser, *options, f"--print-to-pdf={tmp_path / 'report.pdf'}", file.as_uri()]
    subprocess.run(line, capture_output=True, timeout=120)
    assert (tmp_path / "report.pdf").stat().st_size > 1_000_000  # the pictures are in it
    line = [browser, *options, "--dump-dom", file.as_uri()]
    shown = subprocess.run(line, capture_output=True, timeout=120).stdout.decode()
    assert "<nav>" in shown and shown.count("<img") > 20
