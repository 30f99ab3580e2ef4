"""Result records of runs in, an answer out: which setting is better, by how much, how sure. Imports no torch."""
