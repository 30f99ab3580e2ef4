"""The command line: one module a verb. No module here imports torch before it has work for it."""
