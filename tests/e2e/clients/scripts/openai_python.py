"""What a user's script does with openai-python; it knows nothing of us. Prints what came."""

import asyncio
import io
import sys

import openai


CHAT = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "hello"}]}
CONTENT = bytes(range(256)) * 2000


def chat(client):
    print(client.chat.completions.create(**CHAT).choices[0].message.content)
    print(client.responses.create(model="gpt-4o-mini", input="hello").output_text)
    assert client.embeddings.create(model="text-embedding-3-small", input="hello").data[0].embedding
    assert client.models.retrieve("gpt-4o-mini").id == "gpt-4o-mini"


def stream(client):
    print(
        "".join(
            c.choices[0].delta.content or "" for c in client.chat.completions.create(**CHAT, stream=True) if c.choices
        )
    )
    with client.responses.stream(model="gpt-4o-mini", input="hello") as events:
        for _ in events:
            pass
        print(events.get_final_response().output_text)


def files(client):
    made = client.files.create(file=("data.jsonl", io.BytesIO(CONTENT)), purpose="batch")
    assert made.bytes == len(CONTENT)
    assert client.files.content(made.id).content == CONTENT
    assert client.files.delete(made.id).deleted
    print("the same bytes came back")


def audio(client):
    assert client.audio.speech.create(model="tts-1", voice="alloy", input="hello").content
    with client.audio.speech.with_streaming_response.create(model="tts-1", voice="alloy", input="hello") as spoken:
        assert sum(map(len, spoken.iter_bytes())) > 0
    print(
        client.audio.transcriptions.create(model="whisper-1", file=("speech.mp3", io.BytesIO(b"\xff\xfb" * 2000))).text
    )


def responses_websocket(client):
    with client.responses.connect() as connection:
        for turn in range(2):
            connection.response.create(model="gpt-5", input=f"turn {turn}")
            for event in connection:
                if event.type == "response.completed":
                    print(event.response.output_text)
                    break


async def in_parallel(client):
    async def one():
        return (await client.chat.completions.create(**CHAT)).choices[0].message.content

    print(await one())
    assert len(set(await asyncio.gather(*(one() for _ in range(20))))) == 1
    answer = await client.chat.completions.create(**CHAT, stream=True)
    print("".join([c.choices[0].delta.content or "" async for c in answer if c.choices]))


async def realtime(client):
    async with client.realtime.connect(model="gpt-realtime") as connection:
        await connection.session.update(session={"type": "realtime", "instructions": "Be brief."})
        await connection.conversation.item.create(
            item={"type": "message", "role": "user", "content": [{"type": "input_text", "text": "hello"}]}
        )
        await connection.response.create()
        heard = ""
        async for event in connection:
            heard += getattr(event, "delta", "") if event.type.endswith("text.delta") else ""
            if event.type == "response.done":
                assert event.response.status == "completed"
                break
        print("realtime:", heard)


async def asynchronously(task):
    async with openai.AsyncOpenAI(timeout=30) as client:
        await task(client)


task = globals()[sys.argv[1]]
if asyncio.iscoroutinefunction(task):
    asyncio.run(asynchronously(task))
else:
    with openai.OpenAI(timeout=30) as client:
        task(client)
