"""`make release`: builds the distributions, checks what is in them, and uses them as a stranger would."""
