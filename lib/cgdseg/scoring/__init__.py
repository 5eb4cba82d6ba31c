"""Scores and what they are worth: counts and borders, calibration, statistics, and the competition's own protocols."""
