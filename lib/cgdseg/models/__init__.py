"""Networks: every one answers one contract (`contract`); `registry` finds the one that settings name."""
