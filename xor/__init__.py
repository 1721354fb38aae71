"""Part 2: the two-input multi-layer perceptron, trained or with hand-set weights."""
