"""Methods that attribute to a layer's units, one file for each method that has such a form."""
