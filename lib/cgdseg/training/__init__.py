"""Training: losses, the loop and its session, what an objective learns, how it resumes, and what is left of a run."""
