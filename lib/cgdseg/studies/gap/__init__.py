"""The domain gap taken apart, as notebook 5 tells it.

domains: how wide it is, and how sure that is; shift: how far apart the domains lie; moves and attribution: what the
loss consists of; known: what that method is worth; remedies and ladder: what closes it, at what cost; tables and
words: all that to read."""
