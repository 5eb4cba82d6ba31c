"""One file or folder a question: what is measured, its tables, and the sentences that read them."""
