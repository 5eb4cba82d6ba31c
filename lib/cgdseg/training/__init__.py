"""Training: losses, the loop and its session, what a stage learns, how it resumes, and what is left of a run."""
