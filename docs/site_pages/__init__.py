"""What the documentation site makes of files that are no pages: configuration, commands, experiments."""
