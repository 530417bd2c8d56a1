"""What a user's script does with LangChain; it knows nothing of us."""

from langchain_openai import ChatOpenAI, OpenAIEmbeddings


model = ChatOpenAI(model="gpt-4o-mini", timeout=30)
print(model.invoke("hello").content)
print("".join(chunk.content for chunk in model.stream("hello")))
assert OpenAIEmbeddings(model="text-embedding-3-small", check_embedding_ctx_length=False).embed_query("hello")
