"""The report of a benchmark: a page, and the same numbers as Markdown, CSV, LaTeX and figures."""
