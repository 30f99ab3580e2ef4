"""Run directories: what they hold, what identifies them, who works on them. Nothing here imports torch."""
