"""`python -m gridkeeper.probes` is `gridkeeper-probe`."""

from gridkeeper.probes.cli import main

raise SystemExit(main())
