"""What a reader gets: figures, pages, Markdown, index."""
