"""Sweeps: one job is one fresh process tree, and its run lives where its configuration says.

No torch here. `preflight` checks the whole grid before the first job; `launcher` is what jobs know of the
process that launched them. `jobs` runs one job, `process` its process tree, `devices` leases GPUs or cores,
`tasks` joins the tasks of a cluster job. `ending` closes the sweep, `sweep_file` is its record, `status`
reads it from outside, `search` keeps the trials of Optuna. ``docs/processes.md`` draws all of it.
"""
