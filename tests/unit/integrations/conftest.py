"""What the tests of the drop-ins share."""

import os
import tempfile
from pathlib import Path

# before anything imports Keras: the backend that hybridbo needs anyway, and a home that is not the user's
os.environ.setdefault("KERAS_BACKEND", "torch")
os.environ.setdefault("KERAS_HOME", str(Path(tempfile.gettempdir(), "hybridbo-keras")))
