"""Part 1: Kuzushiji character classifiers (NetLin, NetFull, NetConv).

data.py reads or draws images, models.py has the networks, train.py trains and evaluates them,
confusion.py counts what is taken for what, plots.py draws it.
"""
