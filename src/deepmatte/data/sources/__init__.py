"""Where pictures come from: folders, layouts, splits, mixtures, reading pictures."""
