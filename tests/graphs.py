"""Networks that are a given machine, and the Reber graph as one."""

import torch

from anbn.models import SRN


def srn_of_graph(arcs, n_symbols, predicts):
    """An SRN that is the machine with the given arcs, node 0 first. One hidden unit per arc: it
    fires (+1) where its symbol is read after a unit that leads to its origin, else it is at -1.

    arcs: (origin, symbol, next node). predicts: per node, the symbols predicted, equally likely.
    """
    n, strength = len(arcs), 20.0
    first = len(arcs)  # one more unit fires before the first symbol alone: it leads to node 0
    W = torch.full((n_symbols, n + 1), -2 * strength)
    U, V = torch.zeros(n + 1, n + 1), torch.zeros(n + 1, n_symbols)
    sources = [to for _, _, to in arcs] + [0]
    for unit, (origin, symbol, to) in enumerate(arcs):
        # hidden is -1 or 1: the sum over sources is 2 - (number) if one fires, -(number) if none
        leading = [k for k, node in enumerate(sources) if node == origin]
        U[leading, unit] = strength
        W[symbol, unit] = strength * (len(leading) - 1)
        others = [k for k in range(n_symbols) if k != symbol]
        W[others, unit] = strength * (len(leading) - 5)
        for predicted in predicts[to]:
            V[unit, predicted] = strength
    H0 = torch.full((n + 1,), -strength)
    H0[first] = strength
    parameters = {"H0": H0, "W": W, "U": U, "V": V}
    # the units at -1 cancel out: what remains is of the one that fires
    parameters |= {"hid_bias": torch.zeros(n + 1), "out_bias": V.sum(0)}
    return SRN.from_parameters({name: value[None] for name, value in parameters.items()})


def reber_network(language, never=()):
    """The graph of the grammar as a network; never: (node, symbol) arcs that it does not offer."""
    arcs = [(node, k, to) for node, ways in enumerate(language.arcs) for k, to in ways]
    predicts = [
        [k for k, _ in ways if (language.state_names[node], language.symbols[k]) not in never]
        for node, ways in enumerate(language.arcs)
    ]
    return srn_of_graph(arcs, language.n_symbols, predicts)


def is_graph_of(machine, language):
    """Whether the machine is the graph of the grammar: walked side by side from the start, each
    state is one node, and each node one state."""
    pairs, queue = {0: 0}, [0]
    for state in queue:
        arcs = {language.symbols[k]: to for k, to in language.arcs[pairs[state]]}
        ways = machine.transitions[state]
        if ways.keys() != arcs.keys() or machine.predicts[state] != "".join(sorted(arcs)):
            return False
        for symbol, to in ways.items():
            if pairs.setdefault(to, arcs[symbol]) != arcs[symbol]:
                return False
            queue += [to] if to not in queue else []
    return sorted(pairs.values()) == list(range(len(language.arcs)))
