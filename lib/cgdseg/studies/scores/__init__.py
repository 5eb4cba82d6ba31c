"""How well each run does on eyes it has not seen, and how sure that is: notebook 4."""
