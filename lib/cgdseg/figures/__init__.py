"""Every figure, a file a study: tables or pictures in, a matplotlib Figure out; nothing is saved or shown here.

Nothing is imported here, so that a notebook depends on the figures it draws and on no others."""
