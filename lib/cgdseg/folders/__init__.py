"""Folders of pictures in, files out: predict, score, pairing of names, and submissions to the competition."""
