// One request by OpenAI's client for Node: node ask.mjs BASE_URL KEY CALL MODEL MAX_RETRIES
// Prints what came of it as JSON, with the seconds it waited between its attempts.

import OpenAI from "openai";

const [baseURL, apiKey, call, model, maxRetries] = process.argv.slice(2);
const ended = [];
const waits = [];
const timedFetch = async (...request) => {
  if (ended.length > 0) waits.push((performance.now() - ended.at(-1)) / 1000);
  const response = await fetch(...request);
  ended.push(performance.now());
  return response;
};
const client = new OpenAI({ baseURL, apiKey, maxRetries: Number(maxRetries), fetch: timedFetch });
const messages = [{ role: "user", content: "ping" }];

const calls = {
  chat: async () => (await client.chat.completions.create({ model, messages })).choices[0].message.content,
  "chat-stream": async () => {
    let answer = "";
    for await (const chunk of await client.chat.completions.create({ model, messages, stream: true })) {
      answer += chunk.choices[0]?.delta.content ?? "";
    }
    return answer;
  },
  text: async () => (await client.completions.create({ model, prompt: "ping" })).choices[0].text,
  embeddings: async () => (await client.embeddings.create({ model, input: "ping", encoding_format: "float" })).data[0].embedding,
  responses: async () => (await client.responses.create({ model, input: "ping" })).output_text,
};

const outcome = await calls[call]().then(
  (answer) => ({ answer }),
  ({ constructor, status, code, type, message, headers }) => ({
    error: constructor.name,
    status,
    code,
    type,
    message,
    retryAfter: headers?.get("retry-after"),
  }),
);
console.log(JSON.stringify({ ...outcome, waits }));
