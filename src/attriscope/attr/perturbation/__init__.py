"""Methods that only need outputs, one file each; ``_runner`` asks the model on behalf of all of them."""
