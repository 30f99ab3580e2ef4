"""The command line: a table of verbs and a module for each; torch is imported once the options are valid."""
