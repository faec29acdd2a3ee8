"""A sealed model goes to boards through the user's own OpenSSH, and is checked there first."""
