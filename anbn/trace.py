"""What one network does at every symbol: hidden units, cells, gates, predicted distribution.

    anb2n, n=2, read    A          A          B        B           B           B           A
    stage               reading A  reading A  first B  counting B  counting B  counting B  end

A row of a trace bears the symbol read; hidden units, cells and gates are those after reading it,
and the output is the distribution of the symbol that follows. The stages are the language's: `end`
is the first A of the next string, where the network must start its counts anew; those of a Reber
network are the nodes of its graph.
"""

from dataclasses import dataclass
from itertools import groupby

import numpy as np
import torch

from anbn.languages import Stream
from anbn.models import State

UNITS = State._fields[:-1]  # all but the logits
GATES = ("forget_gate", "input_gate", "output_gate")


@dataclass
class Trace:
    """One network on B sequences of at most T symbols. Per-unit tensors are (B, T, H); the cell and
    the gates are None for an SRN. Steps where stream.valid is False are padding."""

    language: object
    stream: Stream
    start_hidden: torch.Tensor  # (H,) before the first symbol
    probability: torch.Tensor  # (B, T, K) of the next symbol
    hidden: torch.Tensor
    cell: torch.Tensor | None
    input_gate: torch.Tensor | None
    forget_gate: torch.Tensor | None
    candidate: torch.Tensor | None
    output_gate: torch.Tensor | None

    @property
    def n_hidden(self):
        return self.hidden.shape[-1]

    def n_steps(self, b):
        """How many symbols sequence b has, its last one, which is not read, left out."""
        return int(self.stream.valid[b].sum())

    def text(self, b):
        """Sequence b as letters."""
        return self.stream.text(self.language.symbols, b)

    def lines(self, b):
        """Sequence b in the print format of the coursework's report: a line per symbol read."""
        text = self.text(b)
        parts = [("hidden", self.hidden), ("cell", self.cell), ("output", self.probability)]
        parts = [(name, part[b].cpu().numpy()) for name, part in parts if part is not None]
        cells = " and" if self.cell is None else ", cell states, and"
        lines = [f"symbol= {text}", f"hidden activations{cells} output probabilities:"]
        form = {"precision": 2, "suppress_small": True, "sign": " "}
        form |= {"max_line_width": 10**6, "threshold": 10**6}
        for t, letter in enumerate(text[:-1]):
            shown = (f"{name}: {np.array2string(part[t], **form)}" for name, part in parts)
            lines.append(f"{letter} {' '.join(shown)}")
        return lines


@torch.no_grad()
def trace(model, network, language, stream):
    """Let one network of `model`, number `network`, read `stream` (B, T). Returns a Trace, on the
    CPU in float32."""
    some = model.select(network)
    activity = some(stream.inputs.to(some.U.device))
    parts = {name: getattr(activity, name) for name in ("probability", *UNITS)}
    parts = {name: part if part is None else part[0].float().cpu() for name, part in parts.items()}
    return Trace(language, stream, some.start(1).hidden[0, 0].float().cpu(), **parts)


def first_mistake(trace, b=0):
    """The first step of sequence b whose next symbol is certain and not the most probable one:
    (text read so far, the symbol predicted, the symbol that comes), or None."""
    stream, predicted = trace.stream, trace.probability[b].argmax(-1)
    wrong = stream[b].wrong(predicted)
    if not wrong.any():
        return None
    t, text = int(wrong.int().argmax()), trace.text(b)
    return text[: t + 1], trace.language.symbols[int(predicted[t])], text[t + 1]


def in_runs(text):
    """A text with its runs counted: AAABBB becomes A^3 B^3."""
    runs = [(letter, len(list(run))) for letter, run in groupby(text)]
    return " ".join(letter if n == 1 else f"{letter}^{n}" for letter, n in runs)


def gate_table(trace):
    """How open each gate of each unit is over all traced steps of each stage: dicts of stage, gate,
    unit (from 1), mean, spread (standard deviation), steps and state (`in_words`). Empty for an
    SRN."""
    if trace.cell is None:
        return []
    label, names = trace.language.stages(trace.stream)
    rows = []
    for number, stage in enumerate(names):
        where = (label == number) & trace.stream.valid
        if not where.any():
            continue
        for gate in GATES:
            values = getattr(trace, gate)[where]  # (steps, H)
            spread, mean = torch.std_mean(values, 0, correction=0)
            for unit, (m, s) in enumerate(zip(mean, spread, strict=True), 1):
                row = {"stage": stage, "gate": gate, "unit": unit, "mean": float(m)}
                row |= {"spread": float(s), "steps": len(values), "state": in_words(m)}
                rows.append(row)
    return rows


def in_words(mean):
    """A gate's mean activation, 0..1, in words."""
    return "open" if mean > 2 / 3 else "closed" if mean < 1 / 3 else "partly open"


def rows(trace):
    """Everything as table rows, one dict per sequence and step; step 0 is the start state. Per
    step: the symbol read, the next one, the source's state, whether it makes the next symbol
    certain, whether the network predicts it, and the value of every unit, gate and probability."""
    parts = {name: getattr(trace, name) for name in UNITS if getattr(trace, name) is not None}
    label, names = trace.language.stages(trace.stream)
    table = []
    for b in range(len(trace.hidden)):
        text = trace.text(b)
        start = {"sequence": b + 1, "step": 0, "symbol": "", "next": text[0]}
        start |= {"state": "", "stage": "start", "deterministic": "", "right": ""}
        start |= {f"hidden_{u + 1}": float(h) for u, h in enumerate(trace.start_hidden)}
        table.append(start)
        for t in range(trace.n_steps(b)):
            predicted = int(trace.probability[b, t].argmax())
            row = {"sequence": b + 1, "step": t + 1, "symbol": text[t], "next": text[t + 1]}
            row |= {"state": int(trace.stream.state[b, t]), "stage": names[int(label[b, t])]}
            row["deterministic"] = int(trace.stream.deterministic[b, t])
            row["right"] = int(trace.language.symbols[predicted] == text[t + 1])
            for name, part in parts.items():
                row |= {f"{name}_{u + 1}": float(v) for u, v in enumerate(part[b, t])}
            letters = zip(trace.language.symbols, trace.probability[b, t], strict=True)
            row |= {f"p_{letter}": float(p) for letter, p in letters}
            table.append(row)
    return table
