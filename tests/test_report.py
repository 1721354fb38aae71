"""The report is written from its measurements alone, and README and report agree with them."""

import importlib
import json
import re
from pathlib import Path

import bench
import pytest
import report

from common.options import BadInput
from reporting import measured

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def sections():
    return {part: importlib.import_module(f"reporting.{part}") for part in report.PART_NAMES}


@pytest.mark.parametrize("part", report.PART_NAMES)
def test_readme_says_what_was_measured(part, sections):
    readme = (ROOT / "README.md").read_text()
    between = re.search(rf"<!-- {part}: [^\n]*-->\n(.*?)<!-- end {part} -->", readme, re.S)
    found = report.Measured(report.REFERENCE, part, quick=False)
    assert between and between[1].strip() == sections[part].readme(found).strip()


@pytest.mark.parametrize("part", report.PART_NAMES)
def test_report_says_what_was_measured(part, sections):
    found = report.Measured(report.REFERENCE, part, quick=False)
    assert sections[part].text(found).strip() in (report.REFERENCE / "report.md").read_text()


def test_every_picture_shown_exists():
    text = (report.REFERENCE / "report.md").read_text()
    shown = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert len(shown) > 10 and all((report.REFERENCE / path).is_file() for path in shown)
    readme = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", (ROOT / "README.md").read_text())
    assert readme and all((ROOT / path).is_file() for path in readme)


def test_a_run_is_kept_with_its_command_and_figures(tmp_path):
    found = report.Measured(tmp_path, "xor", quick=True)
    found.run("step", "xor_main.py --task xor --act step --hid 2", ["network.png", "none.png"])
    found = found["step"]
    assert found["run"]["command"] == "python scripts/xor_main.py --task xor --act step --hid 2"
    assert found["run"]["seconds"] > 0 and found["accuracy"] == 100
    assert (tmp_path / "xor" / "step" / "network.png").stat().st_size > 1000
    assert found.figure("step", "none.png", "missing") == ""
    assert "(xor/step/network.png)" in found.figure("step", "network.png", "caption")


def test_what_was_not_measured_is_named(tmp_path):
    with pytest.raises(BadInput, match="--only kuzu"):
        report.Measured(tmp_path, "kuzu", quick=True)["lin"]


def test_a_command_that_fails_ends_the_report():
    with pytest.raises(BadInput, match="status 2.*at least 1"):
        measured.call("xor_main.py --hid 0")


def test_a_stuck_network_is_a_result_too(tmp_path):
    folder = measured.call(f"xor_main.py --hid 1 --epoch 100 --quiet --out {tmp_path}")
    assert json.loads((folder / "summary.json").read_text())["accuracy"] < 100


def test_benchmarks_all_or_some():
    assert bench.parse_args([]).parts == ["kuzu", "xor", "anbn"]
    assert bench.parse_args(["xor", "--rounds", "1"]).parts == ["xor"]
    row = bench.compare("idle", lambda: 1, lambda: 100, "turns", rounds=3)
    assert row["rounds"] == 3 and row["ratio"] > 0


@pytest.mark.parametrize("part", ["kuzu", "anbn"])
def test_every_benchmark_runs(part, monkeypatch):
    monkeypatch.setattr(bench, "IMAGES", 100)
    monkeypatch.setattr("benchmarks.anbn.PLAIN_SEQUENCES", 2)
    monkeypatch.setattr("benchmarks.anbn.OUR_UPDATES", 2)
    rows = list(bench.PARTS[part](rounds=1))
    assert len(rows) >= 2 and all(row["ratio"] > 0 for row in rows)


def test_table_and_markers():
    assert measured.table(["a", "b"], [[1, 2]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |\n"
    text = "x\n<!-- xor: made -->\nold\n<!-- end xor -->\ny"
    new = report.replace_between_markers(text, "xor", "new \\1")
    assert new == "x\n<!-- xor: made -->\nnew \\1\n<!-- end xor -->\ny"
    with pytest.raises(BadInput, match="no markers"):
        report.replace_between_markers("x", "xor", "new")
