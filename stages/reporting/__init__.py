"""The report's tables, figures and text. It reads result files and imports no network: restyling never retrains."""

import os

# A notebook names a backend of its own, which matplotlib would refuse here; figures are written as SVG whatever it is.
os.environ.pop("MPLBACKEND", None)
