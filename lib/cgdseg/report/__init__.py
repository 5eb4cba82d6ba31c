"""What a notebook leaves behind and how it is shown: outputs, origin and cards; jobs and runner; pages and index."""
