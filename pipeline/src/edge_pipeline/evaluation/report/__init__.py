"""From a sealed file, and what its build measured, to a page that people read."""
