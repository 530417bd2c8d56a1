"""The only place that imports mitmproxy: launcher, bridge, gate."""
