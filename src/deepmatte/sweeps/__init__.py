"""Sweeps that can be trusted: one job is one fresh process tree, and lives where its configuration says.

Nothing here imports torch. `jobs` runs one job, `process` its process tree, `devices` deals out what it sees,
`tasks` joins the tasks of a cluster; `plan` checks the whole grid before the first job starts, `ending`
closes the sweep; `status` reads it from outside; `search` keeps Optuna's studies.
"""
