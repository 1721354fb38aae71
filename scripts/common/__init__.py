"""What the command-line scripts share: options, run folders, processes."""
