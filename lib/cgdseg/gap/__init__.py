"""The domain gap taken apart, as notebook 5 tells it: how wide it is and how sure that is (intervals), how far apart the
domains lie (shift), what the loss consists of (moves, attribution), what closes it (remedies, ladder);
readings put it in words."""
