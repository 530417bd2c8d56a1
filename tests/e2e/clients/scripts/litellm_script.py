"""What a user's script does with LiteLLM; it knows nothing of us."""

import litellm


chat = {"model": "openai/gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}], "timeout": 30}
print(litellm.completion(**chat).choices[0].message.content)
print("".join(chunk.choices[0].delta.content or "" for chunk in litellm.completion(**chat, stream=True)))
