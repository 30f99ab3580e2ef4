"""The words of a command line: their grammar, their help and their completion."""
