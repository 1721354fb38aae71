"""How often the coursework's own recipes succeed, measured by bench.py.

Not part of the whole report's half hour: python scripts/report.py --only coursework
"""

import shlex

from reporting.measured import call, read_json, success, table


def measure(measured):
    call(f"bench.py coursework --json {shlex.quote(str(measured.folder / 'bench.json'))}")


def text(measured):
    found = read_json(measured.folder / "bench.json")
    rows = []
    for row in found["coursework"]:
        epochs = " / ".join(f"{n:,}" for n in row.get("epochs") or ())
        rows.append([row["name"], success(row, "solved_95"), epochs])
    results = table("task | solved | 95 % interval | epochs to 100 %", rows)
    return measured.write(results=results, **found)
