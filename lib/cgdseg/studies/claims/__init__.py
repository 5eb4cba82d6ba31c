"""What tests the claims of the slides: a check a function, in a module a theme, and the judge (`judge.CHECKS`).

A check takes the evidence and the arguments of a row of data/claims.yaml -> what it found (`ledger.Found`).
The first line of its docstring says how it tests, in the table that notebook 06 prints."""
