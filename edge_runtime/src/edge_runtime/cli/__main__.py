"""Run the command as ``python -m edge_runtime.cli``, where its script is not on the path."""

import sys

from edge_runtime_command import main

sys.exit(main())
