"""`mailstead` on a file system that forgets unsynced writes at a kill."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from contracts import lossy_vfs
from mailstead.__main__ import main

if __name__ == "__main__":
    lossy_vfs.install()
    main()
