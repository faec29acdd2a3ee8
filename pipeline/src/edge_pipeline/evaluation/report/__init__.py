"""Write an HTML page and a Markdown card about a sealed file."""
