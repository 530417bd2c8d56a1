// What a user's script does with openai-node; it knows nothing of us. Prints what came.
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { createRequire } from "node:module";

const require = createRequire(process.env.CODEX_MANAGER_TEST_MODULES + "/");
const { OpenAI, toFile } = require("openai");
const { OpenAIRealtimeWS } = require("openai/realtime/ws");
const { ResponsesWS } = require("openai/resources/responses/ws");

const options = { timeout: 30_000 };
if (process.env.CODEX_MANAGER_TEST_UNDICI) {
  // the way that openai-node's README shows, for Node before 24
  const { fetch, ProxyAgent } = require("undici");
  options.fetch = fetch;
  options.fetchOptions = { dispatcher: new ProxyAgent(process.env.HTTPS_PROXY) };
}
let agent;
if (process.env.CODEX_MANAGER_TEST_AGENT) {
  // what the WebSocket library needs to go through a proxy
  const { HttpsProxyAgent } = require("https-proxy-agent");
  agent = { agent: new HttpsProxyAgent(process.env.HTTPS_PROXY) };
}
const client = new OpenAI(options);
const chat = { model: "gpt-4o-mini", messages: [{ role: "user", content: "hello" }] };

const tasks = {
  async chat() {
    console.log((await client.chat.completions.create(chat)).choices[0].message.content);
    console.log((await client.responses.create({ model: "gpt-4o-mini", input: "hello" })).output_text);
  },
  async stream() {
    let text = "";
    for await (const chunk of await client.chat.completions.create({ ...chat, stream: true })) {
      text += chunk.choices[0]?.delta?.content ?? "";
    }
    console.log(text);
    const answer = await client.responses.stream({ model: "gpt-4o-mini", input: "hello" }).finalResponse();
    console.log(answer.output_text);
  },
  async files() {
    const content = Buffer.alloc(500_000, 7);
    const file = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "node-")), "data.jsonl");
    fs.writeFileSync(file, content);
    const made = await client.files.create({ file: fs.createReadStream(file), purpose: "batch" });
    const back = Buffer.from(await (await client.files.content(made.id)).arrayBuffer());
    if (!back.equals(content)) throw new Error("other bytes came back");
    const again = await client.files.create({ file: await toFile(content, "data.jsonl"), purpose: "batch" });
    await client.files.delete(again.id);
    console.log("the same bytes came back");
  },
  async responses_websocket() {
    const socket = new ResponsesWS(client, agent);
    const text = await new Promise((resolve, reject) => {
      socket.on("error", reject);
      socket.on("response.completed", (event) => resolve(event.response.output[0].content[0].text));
      socket.socket.on("open", () => socket.send({ type: "response.create", model: "gpt-4o-mini", input: "hello" }));
    });
    console.log(text);
    socket.close();
  },
  async realtime_websocket() {
    const socket = new OpenAIRealtimeWS({ model: "gpt-realtime", options: agent }, client);
    const text = await new Promise((resolve, reject) => {
      let heard = "";
      socket.on("error", reject);
      socket.on("session.created", () => socket.send({ type: "response.create" }));
      socket.on("response.output_text.delta", (event) => (heard += event.delta));
      socket.on("response.done", () => resolve(heard));
    });
    console.log("realtime:", text);
    socket.close();
  },
};
await tasks[process.argv[2]]();
