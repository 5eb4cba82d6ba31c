"""What a notebook leaves behind and how it is shown: outputs and origin, stages and jobs, runner, pages and index."""
