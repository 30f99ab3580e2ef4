"""The configured table of losses: its rows with options, and their weights over the run."""
