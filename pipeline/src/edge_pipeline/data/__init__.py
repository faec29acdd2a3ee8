"""A recipe and the table it names in, typed rows and their schema out."""
