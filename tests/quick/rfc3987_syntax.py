"""In place of the package, of which every process that reads a notebook would build a grammar for a second.

jsonschema does without it: it only judges international addresses, which no notebook's schema asks for."""

raise ImportError("not needed in tests")
