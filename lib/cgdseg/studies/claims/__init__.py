"""What tests the claims of the slides: a check a name (`registry.CHECKS`), by theme, and the judge.

A check takes the evidence and the arguments of a row of data/claims.yaml -> what it found (`ledger.Found`)."""
