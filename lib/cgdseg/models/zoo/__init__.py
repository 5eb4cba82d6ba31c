"""What CGDSeg is compared with, a file a system, and predictors that learned nothing."""
