"""How one network does what it does: units, maps, rates, machine, failures; and in words.

for line in explain(model, language): print(line)      # one network, S = 1
"""


def explain(model, language, n_most=None):
    """Sentences on one network (S = 1): first how good it is, then how it does it. A list of str.

    n_most: the largest n tried, by default language.n_most. Raises ModelError if the model holds
    several networks.
    """
    import torch

    from anbn.analysis.counting_words import counting
    from anbn.analysis.diagnosis import diagnose
    from anbn.analysis.explanation import machine, verdict
    from anbn.analysis.extract import studies
    from anbn.evaluate import evaluate

    evaluation = evaluate(model, language, torch.Generator().manual_seed(0), n_most=n_most)
    lines = verdict(evaluation, language)
    if language.multiples and evaluation.first_failing_n is not None:
        first, n_most = int(evaluation.first_failing_n[0]), evaluation.n_most
        lines += counting(diagnose(model, language, first, n_most))
    return lines + machine(studies(model, language), language)
