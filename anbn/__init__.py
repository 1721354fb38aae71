"""Part 3: recurrent networks (SRN, LSTM) that predict the next symbol of a formal language."""
