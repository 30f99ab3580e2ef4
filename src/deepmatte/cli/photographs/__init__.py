"""Verbs for photographs: mattes, trimaps, colours, the page and the server."""
