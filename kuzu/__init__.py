"""Part 1: Kuzushiji character classifiers (NetLin, NetFull, NetConv).

data.py loads images (files.py reads, download.py fetches, kana.py draws them), augment.py varies
them; models.py has the networks, backprop.py, optim.py and batchnorm.py train them, recipes.py has
the settings; train.py trains and evaluates, device.py checks that this machine can; confusion.py,
results.py and plots.py show what was found; checkpoint.py saves and loads a network.
"""
