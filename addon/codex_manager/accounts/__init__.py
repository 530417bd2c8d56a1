"""Managing accounts, whoever asks: the command line, the dashboard, mitmproxy's command bar."""
