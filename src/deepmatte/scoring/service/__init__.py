"""Mattes over HTTP: `deepmatte serve` and `deepmatte demo`.

The server itself decodes nothing and imports no torch: processes of their own do the work, so that one that
takes too long, or that a picture ends, is replaced while the server goes on.
"""
