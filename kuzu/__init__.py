"""Part 1: Kuzushiji character classifiers (NetLin, NetFull, NetConv)."""
