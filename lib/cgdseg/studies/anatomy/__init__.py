"""What CGDSeg does to an eye and what its parts are worth: notebook 2."""
