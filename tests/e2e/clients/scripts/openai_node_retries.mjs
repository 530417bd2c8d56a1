// One request with openai-node's own retries; prints what came, how many requests it took and how long.
import { createRequire } from "node:module";

const require = createRequire(process.env.CODEX_MANAGER_TEST_MODULES + "/");
const { OpenAI } = require("openai");

const [model] = process.argv.slice(2);
let requests = 0;
const counting = (url, init) => (requests++, fetch(url, init));
const plain = new OpenAI({ timeout: 30_000 });
const client = new OpenAI({ timeout: 30_000, fetch: counting });
const files = ["file-of-first", "file-of-second"];
if (model === "divided") for (const file of files) await plain.files.retrieve(file);

const began = performance.now();
let status = 200;
let code = null;
try {
  if (model === "divided") await client.vectorStores.create({ file_ids: files });
  else await client.chat.completions.create({ model, messages: [{ role: "user", content: "hello" }] });
} catch (error) {
  status = error.status;
  code = error.code;
}
console.log(JSON.stringify({ status, code, requests, took: (performance.now() - began) / 1000 }));
