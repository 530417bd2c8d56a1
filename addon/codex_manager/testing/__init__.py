"""Test doubles we ship: a scripted fake OpenAI on a real socket, and a clock that is set by hand."""
