"""Words for decisions, requests and figures: command line, dashboard and mitmproxy's views say the same."""
