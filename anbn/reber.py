"""The Reber grammar and the embedded Reber grammar: random walks on a graph, arcs equally likely.

    Reber:     B T S X S E        B, then the walk 0 -T-> 1 -S-> 1 -X-> 2 -S-> 3 -E->
    embedded:  B P B T X S E P E  a Reber string between two equal letters T or P

After the inner E the embedded string must recall the outer letter: here P, then E, are certain.

The graph is the usual one (Cleeremans, Servan-Schreiber & McClelland 1989, figure 2). A stream is
one string of at least `length` symbols, cut after `longest` steps (fewer than one in a million).
"""

import torch

from anbn.languages import LanguageError, Stream, WalkLanguage

SYMBOLS = "BTSXPVE"
MAX_TEXTS = 5000  # strings a machine is made from; they double every two symbols
GRAPH = (  # node: (symbol, next node), (symbol, next node); the string ends with the E of node 3
    (("T", 1), ("P", 5)),
    (("S", 1), ("X", 2)),
    (("S", 3), ("X", 5)),
    (("E", None),),
    (("V", 3), ("P", 2)),
    (("V", 4), ("T", 5)),
)


class ReberLanguage(WalkLanguage):
    """Strings of the Reber grammar, or of the embedded one with embed=True.

    length: the least number of symbols of a string (the shortest Reber string has 5, the shortest
    embedded one 9). Raises LanguageError for a length outside 1..60.
    """

    name, symbols = "reber", SYMBOLS
    one_by_one = True

    def __init__(self, embed=False, length=4):
        if not 1 <= length <= 60:
            raise LanguageError(f"the least length of a Reber string is {length}; choose 1 to 60")
        self.embed, self.length = embed, length
        # Most steps of the embedded grammar are a coin's throw: their noise drowns the recall.
        self.stochastic_weight = 0.1 if embed else 1.0
        self.longest = 60 + length
        self.state_names, self.arcs = _arcs(embed)
        self._build_chain()

    def _build_chain(self):
        """The source as a Markov chain over (node, symbols still required), so that a least length
        is part of the distribution: each arc keeps its probability times the probability that the
        rest of the string is long enough."""
        n_nodes = len(self.state_names)
        shortest = 9 if self.embed else 5
        least = self.length if self.length > shortest else 0
        # enough[r, node]: probability that from here on at least r more symbols follow
        enough = torch.ones(least + 1, n_nodes, dtype=torch.float64)
        for required in range(1, least + 1):
            for node, arcs in enumerate(self.arcs):
                enough[required, node] = sum(enough[required - 1, to] / len(arcs) for _, to in arcs)
        size = n_nodes * (least + 1)
        self._probability = torch.zeros(size, self.n_symbols, dtype=torch.float64)
        # the two arcs of each chain state: symbol, state after, and the first one's probability
        self._symbol = torch.zeros(size, 2, dtype=torch.long)
        self._follow = torch.arange(size)[:, None].repeat(1, 2)
        for required in range(least + 1):
            rest = max(required - 1, 0)
            for node, arcs in enumerate(self.arcs):
                here = required * n_nodes + node
                for choice, (symbol, to) in enumerate(arcs):
                    self._symbol[here, choice] = symbol
                    self._follow[here, choice] = rest * n_nodes + to
                    self._probability[here, symbol] = enough[rest, to]
        total = self._probability.sum(-1, keepdim=True)
        self._ends = total[:, 0] == 0  # (size,) chain states from which nothing follows
        self._probability /= torch.where(total > 0, total, 1.0)
        self._first = self._probability.gather(-1, self._symbol[:, :1]).squeeze(-1)
        self._start = int(self._follow[least * n_nodes, 0])  # the chain's state after the first B
        self._legal = self._probability[:n_nodes] > 0  # (nodes, K): with nothing required

    @property
    def entropy_rate(self):
        """Nats per predicted symbol: the mean surprise of a string over its mean number of steps.

        Both are expected sums along the absorbing chain: visits v solve v = start + P^T v.
        """
        p, size = self._probability, self._probability.shape[0]
        step = torch.zeros(size, size, dtype=torch.float64)
        arcs = torch.stack([self._first, p.sum(-1) - self._first], -1)
        step.scatter_add_(1, self._follow, arcs)
        step[:, self._ends] = 0
        start = torch.zeros(size, dtype=torch.float64)
        start[self._start] = 1
        visits = torch.linalg.solve(torch.eye(size, dtype=torch.float64) - step.T, start)
        entropy = torch.special.entr(p).sum(-1)
        return float((visits @ entropy) / visits.sum())

    def draw(self, shape, generator, length=None):
        """As WalkLanguage.draw; length: unused, Reber strings have no curriculum."""
        return super().draw(shape, generator)

    def streams(self, draws):
        """Walks decided by `draws` (..., longest) in [0, 1) -> Stream with T at most longest steps.

        A walk is a chain, so its steps come one after another, but each for the whole batch.
        """
        first = self._first.float()
        here = torch.full(draws.shape[:-1], self._start)
        visited, read = [], []  # the chain's state at each step, the symbol it emits
        for draw in draws.cpu().unbind(-1):
            choice = (draw >= first[here]).long()
            visited.append(here)
            read.append(self._symbol[here, choice])
            here = self._follow[here, choice]
            if self._ends[here].all():
                break
        before, targets = torch.stack(visited, -1), torch.stack(read, -1)  # (..., T)
        valid = ~self._ends[before]
        start = torch.full_like(targets[..., :1], SYMBOLS.index("B"))
        node = before % len(self.state_names)
        legal = self._legal[node]  # (..., T, K), empty after the end
        recall = torch.tensor([name.startswith("recall") for name in self.state_names])
        return Stream(
            symbols=torch.cat([start, targets.where(valid, 0)], -1),
            valid=valid,
            legal=legal,
            probability=self._probability.float()[before],
            deterministic=legal.sum(-1) == 1,
            state=node,
            recall=recall[node] if self.embed else None,
        ).to(draws.device)

    # ---- its strings, for traces, machines and analysis

    @property
    def machine_length(self):
        """The number of symbols that nine strings in ten do not exceed."""
        return max(self.length + 4, 15 if self.embed else 11)

    def texts(self, longest):
        """All strings of at most `longest` symbols, shortest first; fewer symbols if there would be
        more than MAX_TEXTS strings."""
        complete, front = [], [("", 0)]
        for _ in range(longest):
            front = [(text + SYMBOLS[k], to) for text, node in front for k, to in self.arcs[node]]
            ended = [text for text, node in front if not self.arcs[node]]
            if len(complete) + len(ended) > MAX_TEXTS:
                break
            complete += ended
        return complete

    def single_texts(self, n_states):
        """All strings of at most 16 symbols, or 20 of the embedded grammar."""
        return self.texts(20 if self.embed else 16)

    def legal_next(self, text):
        node, legal = 0, []
        for symbol in text[:-1]:
            node = dict(self.arcs[node])[SYMBOLS.index(symbol)]
            legal.append("".join(sorted(SYMBOLS[k] for k, _ in self.arcs[node])))
        return legal

    def stages(self, stream):
        """The nodes of the graph."""
        return stream.state, self.state_names

    def cell_stages(self, stream):
        """The symbols read."""
        return stream.inputs, self.symbols

    def state_label(self, state):
        return f"node {self.state_names[state]}"

    def default_hidden(self, kind):
        return {"srn": 2, "lstm": 4 if self.embed else 3}[kind]


def _arcs(embed):
    """Node names, and for each node its arcs (symbol index, next node index).

    Node 0 is the one before the first B. Plain: start, 0..5, end. Embedded: the inner grammar
    stands twice, once per outer letter, which is the memory the task asks for.
    """

    def inner(suffix, done):
        """One copy of the graph; `done`: the node after its E."""
        return {
            f"{n}{suffix}": [(x, done if to is None else f"{to}{suffix}") for x, to in choices]
            for n, choices in enumerate(GRAPH)
        }

    if embed:
        graph = {"start": [("B", "outer")], "outer": [("T", "BT"), ("P", "BP")]}
        for x in "TP":
            graph |= {f"B{x}": [("B", f"0{x}")], **inner(x, f"recall{x}")}
            graph[f"recall{x}"] = [(x, "closing")]
        graph |= {"closing": [("E", "end")], "end": []}
    else:
        graph = {"start": [("B", "0")], **inner("", "end"), "end": []}
    names = tuple(graph)
    numbers = ([(SYMBOLS.index(x), names.index(to)) for x, to in ways] for ways in graph.values())
    return names, list(numbers)
