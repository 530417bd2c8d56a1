"""A request and its answer as a conversation that can be read: bytes in, text out. Pure, total, bounded."""

from codex_manager.core.conversation.model import Bill, Conversation
from codex_manager.core.conversation.reading import Body, conversation_of, is_conversation, message_of, socket_of
from codex_manager.core.conversation.sockets import Message
from codex_manager.core.conversation.text import LARGEST, as_text, message_text


__all__ = [
    "LARGEST", "Bill", "Body", "Conversation", "Message", "as_text", "conversation_of", "is_conversation", "message_of",
    "message_text", "socket_of",
]  # fmt: skip
