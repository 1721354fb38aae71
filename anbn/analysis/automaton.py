"""Finite-state machines from strings whose every prefix is labelled with a prediction.

    anbn, n <= 2    0 -A-> 1 -A-> 2 -B-> 3 -B-> 0      0 predicts A; 1 and 2 predict A or B;
                           1 -B-> 0                    3 predicts B

Prefixes that no continuation seen tells apart are merged, the shortest first, then alphabetically:
the state merging of Trakhtenbrot & Barzdin (1973) and of RPNI (Oncina & Garcia 1992).
"""

import heapq
from dataclasses import dataclass

import torch


@dataclass
class Machine:
    """States 0, 1, ...; 0 is where a string starts."""

    longest: int  # the largest n it was made from; Reber: the greatest number of symbols
    predicts: list  # per state: the symbols predicted there, as text; "" where a string ends
    transitions: list  # per state: {symbol: next state}
    hidden: list  # per state: (visits, H) hidden states of the prefixes merged in it

    @property
    def n_states(self):
        return len(self.predicts)

    @property
    def centres(self):
        """(states, H) the mean hidden state of each; NaN where no hidden state was seen."""
        return torch.stack([part.mean(0) for part in self.hidden])

    @property
    def spread(self):
        """(states,) root mean square distance of the visits from the centre."""
        return torch.stack([(h - h.mean(0)).square().sum(-1).mean().sqrt() for h in self.hidden])

    def predictions(self, text):
        """What it predicts after each symbol of `text`; None from a missing transition on."""
        state, predictions = 0, []
        for symbol in text:
            state = None if state is None else self.transitions[state].get(symbol)
            predictions.append(None if state is None else self.predicts[state])
        return predictions

    def arcs(self):
        """{(state, next state): the symbols that lead there, as text}."""
        arcs = {}
        for state, ways in enumerate(self.transitions):
            for symbol in sorted(ways):
                arcs.setdefault((state, ways[symbol]), []).append(symbol)
        return {ends: ", ".join(symbols) for ends, symbols in arcs.items()}

    def as_dict(self):
        """The machine in plain lists, for JSON. An end that is not read has no centre (None)."""
        centres, spread, states = self.centres.tolist(), self.spread.tolist(), []
        for state, predicted in enumerate(self.predicts):
            visits = len(self.hidden[state])
            row = {"state": state, "predicts": list(predicted)}
            row["transitions"] = self.transitions[state]
            row["centre"] = centres[state] if visits else None
            row["spread"] = spread[state] if visits else None
            states.append(row | {"visits": visits})
        return {"start": 0, "longest": self.longest, "states": states}

    def as_dot(self):
        """The machine as a Graphviz graph; arcs that share their ends share a label."""
        lines = ["digraph machine {", "  rankdir=LR;", "  node [shape=circle];"]
        lines += ["  start [shape=none, label=start];", "  start -> 0;"]
        for state, predicted in enumerate(self.predicts):
            shape = "" if predicted else ", shape=doublecircle"
            label = " or ".join(predicted) or "end"
            lines.append(f'  {state} [label="{state}\\n{label}"{shape}];')
        for (origin, to), symbols in self.arcs().items():
            lines.append(f'  {origin} -> {to} [label="{symbols}"];')
        return "\n".join([*lines, "}"]) + "\n"


class PrefixTree:
    """The tree of prefixes; `machine` merges its nodes into states. Node 0 is the empty prefix.

    label: what is predicted there. hidden: (H,) the state before the first symbol.
    """

    def __init__(self, label, hidden):
        self.prefix, self.label, self.hidden, self.children = [""], [label], [hidden], [{}]
        self.into = [0]  # the node each node is merged into; itself if it is not

    def insert(self, text, labels, hidden):
        """Add the prefixes of a text with a label each and hidden states (steps, H); a label
        without a hidden state is that of an end which is not read."""
        node = 0
        for t, (symbol, label) in enumerate(zip(text, labels, strict=True)):
            if symbol not in self.children[node]:
                self.children[node][symbol] = len(self.label)
                self.into.append(len(self.label))
                self.label.append(label)
                self.hidden.append(hidden[t] if t < len(hidden) else None)
                self.prefix.append(self.prefix[node] + symbol)
                self.children.append({})
            node = self.children[node][symbol]

    def machine(self, longest):
        """Merge the nodes: each becomes a state of its own unless an earlier state agrees with it
        wherever both have been seen. Returns the Machine."""
        kept, waiting = [0], []

        def wait(edges):
            for parent, symbol, node in edges:
                if parent in kept:
                    prefix = self.prefix[node]
                    heapq.heappush(waiting, (len(prefix), prefix, node, parent, symbol))

        wait((0, symbol, node) for symbol, node in self.children[0].items())
        while waiting:
            *_, node, parent, symbol = heapq.heappop(waiting)
            for state in kept:
                attached = self._merge_subtree(state, parent, symbol, node)
                if attached is not None:
                    wait(attached)
                    break
            else:
                kept.append(node)
                wait((node, read, child) for read, child in self.children[node].items())

        number = {node: state for state, node in enumerate(kept)}
        visits = [[] for _ in kept]
        for node, hidden in enumerate(self.hidden):
            while self.into[node] != node:
                node = self.into[node]
            if hidden is not None:
                visits[number[node]].append(hidden)
        none = self.hidden[0].new_empty(0, len(self.hidden[0]))
        return Machine(
            longest,
            [self.label[node] for node in kept],
            [{s: number[to] for s, to in sorted(self.children[node].items())} for node in kept],
            [torch.stack(part) if part else none for part in visits],
        )

    def _merge_subtree(self, state, parent, symbol, node):
        """Merge the subtree of `node`, which `symbol` leads to from `parent`, into `state`.

        Returns the (parent, symbol, node) of the subtrees that found a place there; None, and all
        as it was, if a label differs.
        """
        self.children[parent][symbol] = state
        merged, attached, pairs = [], [], [(state, node)]
        while pairs:
            target, source = pairs.pop()
            if self.label[target] != self.label[source]:
                for old in merged:
                    self.into[old] = old
                for at, read, _ in attached:
                    del self.children[at][read]
                self.children[parent][symbol] = node
                return None
            self.into[source] = target
            merged.append(source)
            for read, child in self.children[source].items():
                if read in self.children[target]:
                    pairs.append((self.children[target][read], child))
                else:
                    self.children[target][read] = child
                    attached.append((target, read, child))
        return attached
