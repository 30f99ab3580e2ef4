"""Pictures that are decoded or drawn once, in memory and on disk."""
