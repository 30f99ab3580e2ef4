"""From records of runs to an answer: which setting is better, by how much, how sure. Imports no torch."""
