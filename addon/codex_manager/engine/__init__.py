"""Carries one request over the accounts until one of them answers. Knows aiohttp, not mitmproxy."""
