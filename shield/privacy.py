"""Nothing leaves the machine, dependencies included: what these must be told before they are imported.

onnxruntime writes a device id into the user's cache when it is imported, and asks a host of its makers' at a run;
Gradio, the Hugging Face hub's client and Ray report their use. Each is told by the environment alone.
"""

import os

TELEMETRY_OFF = {
    "ORT_DISABLE_TELEMETRY": "1",
    "GRADIO_ANALYTICS_ENABLED": "False",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "RAY_USAGE_STATS_ENABLED": "0",
}
os.environ.update(TELEMETRY_OFF)
