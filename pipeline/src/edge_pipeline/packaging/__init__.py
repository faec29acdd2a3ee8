"""Write a verified model to one file, sign it, and pack it with the packages that run it."""
