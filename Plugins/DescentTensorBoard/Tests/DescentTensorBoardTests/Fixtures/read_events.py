"""Prints what TensorBoard reads from an event file, as JSON: [[step, tag, plugin, values], ...].

Events go through the same conversion as those that TensorBoard shows.
"""

import json
import sys

from tensorboard.backend.event_processing import event_file_loader
from tensorboard.util import tensor_util

rows = []
for event in event_file_loader.EventFileLoader(sys.argv[1]).Load():
    for value in event.summary.value:
        array = tensor_util.make_ndarray(value.tensor)
        rows.append([event.step, value.tag, value.metadata.plugin_data.plugin_name, array.tolist()])
json.dump(rows, sys.stdout)
