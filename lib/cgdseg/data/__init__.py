"""Data: files on disk -> manifest and findings -> splits -> memory-mapped pixels -> training batches."""
