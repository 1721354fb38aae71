"""How one network does it: what seq_plot.py prints and draws beyond the trace.

Gates by stage (LSTM), fixed points and rates (SRN), what each cell counts (LSTM), the finite-state
machine, and an account in words. Everything here is of one network, taken out of its ensemble.
"""

from sequences import in_words


def analyse(networks, network, traced, found, folder):
    """Save the figures and files of the analysis in the run folder.

    Returns lines of text and a dict for summary.json. found: the Evaluation of all networks."""
    from anbn.analysis.explanation import machine_account

    model, language = networks.model.select(network), networks.language
    title = in_words(language, model)
    parts = [_gates(traced), _inside(model, language, traced, title, folder)]
    lines, machine, near_far = _machine(model, language, title, folder)
    parts.append((lines, machine))
    words = _account(model, language, network, found) + [machine_account(near_far, language)]
    parts.append((["How it does it", *words], {"account": words}))
    lines, content = [], {}
    for some_lines, some_content in parts:
        lines += [*some_lines, ""] if some_lines else []
        content |= some_content
    return lines[:-1], content


def _gates(traced):
    """The gates of an LSTM in each stage: mean, spread, and open or closed."""
    from anbn.trace import gate_table

    rows = gate_table(traced)
    if not rows:
        return [], {}
    units = traced.n_hidden
    width = max(len(row["stage"]) for row in rows)
    heading = "".join(f"  {f'unit {u + 1}':24}" for u in range(units))
    lines = ["Gates by stage: mean +- standard deviation, open above 2/3, closed below 1/3"]
    if max(row["spread"] for row in rows) > 0.3:
        lines.append("(a spread near 0.5: open at some of the steps and closed at the others)")
    if not traced.language.multiples:
        lines.append("(a stage is a node of the graph, embedded with the outer letter after it)")
    lines.append(f"{'stage':{width}}  {'gate':11}{heading}".rstrip())
    for first in range(0, len(rows), units):
        stage, gate = rows[first]["stage"], rows[first]["gate"].replace("_", " ")
        cells = (f"{r['mean']:.2f} +- {r['spread']:.2f} {r['state']}" for r in rows[first:][:units])
        shown = "".join(f"  {cell:24}" for cell in cells)
        lines.append(f"{stage:{width}}  {gate:11}{shown}".rstrip())
    return lines, {"gates": rows}


def _inside(model, language, traced, title, folder):
    """An SRN's fixed points and rates with its phase portraits, or an LSTM's cell changes."""
    from dataclasses import asdict

    if model.kind == "lstm":
        from anbn.analysis.cells import cell_changes, cell_table
        from anbn.plots.cells import cell_bars

        changes = cell_changes(traced)
        folder.save_figure(cell_bars(changes, title), "cell_changes.png")
        return ["What each cell counts", *cell_table(changes)], {
            "cell_changes": [asdict(change) for change in changes]
        }

    from anbn.analysis.dynamics import fixed_points, srn_maps, visited_states
    from anbn.analysis.rates import counting_rates
    from anbn.plots.dynamics import phase_portraits

    visited = visited_states(model, language)[1].hidden[0].flatten(0, 1)
    lines, points = ["Fixed points of each symbol's map"], []
    for map in srn_maps(model, language.symbols):
        for point in fixed_points(map, visited):
            place = ", ".join(f"{x:.3f}" for x in point.position.tolist())
            values = ", ".join(_plain(value) for value in point.eigenvalues.tolist())
            lines.append(f"{map.name}: ({place})  eigenvalues {values}  {point.kind}")
            points.append(
                {
                    "symbol": map.name,
                    "position": point.position,
                    "eigenvalues": [str(complex(value)) for value in point.eigenvalues.tolist()],
                    "kind": point.kind,
                }
            )
    if model.n_hidden > 1:
        folder.save_figure(phase_portraits(model, language, title), "phase_portraits.png")
    content = {"fixed_points": points}
    if bool(language.multiples):
        rates = counting_rates(model, language)
        names = ("contraction", "expansion", "product")
        names += tuple(f"measured_{name}" for name in names)
        content["rates"] = {name: getattr(rates, name) for name in names}
        shown = ["-" if value is None else f"{value:.3f}" for value in content["rates"].values()]
        times = language.multiples[1]
        law = "contraction x expansion" + (f"^{times}" if times > 1 else "")
        lines += [
            f"Contraction per A, expansion per B, {law} (1 keeps count)",
            f"at the fixed points:          {shown[0]}, {shown[1]}, {shown[2]}",
            f"between neighbouring counts:  {shown[3]}, {shown[4]}, {shown[5]}",
        ]
    return lines, content


def _plain(value):
    """An eigenvalue in characters that every terminal has."""
    from anbn.plots.dynamics import number_text

    return number_text(value).replace("\N{MINUS SIGN}", "-")


def _machine(model, language, title, folder):
    """The finite-state machine of the training length, and how far it holds, there and beyond."""
    import json

    from anbn.analysis.extract import studies
    from anbn.plots.machine import draw_machine, draw_over_hidden
    from anbn.trace import in_runs

    found = studies(model, language)
    machine = found[0].machine
    folder.save_text("machine.dot", machine.as_dot())
    folder.save_text("machine.json", json.dumps(machine.as_dict(), indent=1) + "\n")
    folder.save_figure(draw_machine(machine, language, title), "machine.png")
    folder.save_figure(draw_over_hidden(machine, language, title), "machine_hidden.png")
    unit = "n" if bool(language.multiples) else "length"
    lines, content = ["Finite-state machine"], []
    for study in found:
        lines.append(
            f"{unit} up to {study.machine.longest}: {study.machine.n_states} states; agrees with "
            f"the network at {study.with_network:.2%} of the steps, with the language at "
            f"{study.with_language:.2%}"
        )
        if study.differs:
            lines.append(f"    first wrong on {in_runs(study.differs)}")
        content.append(
            {
                "longest": study.machine.longest,
                "states": study.machine.n_states,
                "agrees_with_network": study.with_network,
                "agrees_with_language": study.with_language,
                "network_with_language": study.network_with_language,
                "shortest_difference": study.differs,
            }
        )
    return lines, {"machine": content}, found


def _account(model, language, network, found):
    """A paragraph on how a counting network counts; none for Reber."""
    if found.first_failing_n is None:
        return []
    from anbn.analysis.diagnosis import findings
    from anbn.analysis.explanation import account

    return [account(findings(model, language, int(found.first_failing_n[network]), found.n_most))]
