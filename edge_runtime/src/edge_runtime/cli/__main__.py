"""``python -m edge_runtime.cli``: the command where its script is not on the path."""

import sys

from edge_runtime.cli.main import main

sys.exit(main())
