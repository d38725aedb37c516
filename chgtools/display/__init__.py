"""How objects show themselves to the people who hold them: one line in a terminal, a table in a notebook."""
