"""The transforms: plain functions over records, and the few PTransforms that run them over shards."""

import logging
import os

os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")  # read once, when torch is imported

# Beam says these on every machine without Google's client libraries; nothing here misses what they miss.
_NOISE = ("apitools not found", "Resource module is not available")
logging.getLogger().addFilter(lambda record: not str(record.msg).startswith(_NOISE))
