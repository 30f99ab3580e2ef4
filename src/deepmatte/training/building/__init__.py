"""From a configuration to what trains: model, data, optimisers, stages, and what has to fit together."""
