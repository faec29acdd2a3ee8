"""From a sealed file: its size, speed and memory, and how its answers differ from another's."""
