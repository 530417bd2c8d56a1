"""What a developer sees of the traffic: comments, marks, kept bodies, conversations, decisions, and how much of it stays."""
