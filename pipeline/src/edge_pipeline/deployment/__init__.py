"""Copy sealed models to boards through OpenSSH, check them there, and switch to them."""
