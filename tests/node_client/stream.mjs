// One stream by OpenAI's or Anthropic's client for Node: node stream.mjs URL KEY CALL GROUP MODE
// Prints what came of it as JSON: the words, and how often each event came that is to come once.

import Anthropic from "@anthropic-ai/sdk";
import OpenAI from "openai";

const [url, apiKey, call, model, mode] = process.argv.slice(2);
const openai = new OpenAI({ baseURL: `${url}/v1`, apiKey, maxRetries: 0 });
const anthropic = new Anthropic({ baseURL: url, apiKey, maxRetries: 0 });
const messages = [{ role: "user", content: "ping" }];
const asked = { model, stream: true, stream_recovery: mode };
const counted = {};
const count = (name) => (counted[name] = (counted[name] ?? 0) + 1);

const calls = {
  chat: async () => {
    let answer = "";
    const ids = new Set();
    for await (const chunk of await openai.chat.completions.create({ ...asked, messages })) {
      ids.add(chunk.id);
      answer += chunk.choices[0]?.delta.content ?? "";
      if (chunk.choices[0]?.finish_reason) count("end");
    }
    counted.begin = ids.size;
    return answer;
  },
  messages: async () => {
    let answer = "";
    const stream = anthropic.messages.stream({ ...asked, messages, max_tokens: 64 });
    for await (const event of stream) {
      if (event.type === "message_start") count("begin");
      if (event.type === "message_stop") count("end");
      if (event.type === "content_block_delta") answer += event.delta.text;
    }
    const [block] = (await stream.finalMessage()).content;
    if (block.text !== answer) throw new Error(`put together as ${block.text}`);
    return answer;
  },
  responses: async () => {
    let answer = "";
    for await (const event of await openai.responses.create({ ...asked, input: "ping" })) {
      if (event.type === "response.created") count("begin");
      if (event.type === "response.output_text.delta") answer += event.delta;
      if (event.type === "response.completed") {
        count("end");
        const whole = event.response.output[0].content[0].text;
        if (whole !== answer) throw new Error(`put together as ${whole}`);
      }
    }
    return answer;
  },
};

const outcome = await calls[call]().then(
  (answer) => ({ answer }),
  (error) => ({ error: `${error.constructor.name}: ${error.message}` }),
);
console.log(JSON.stringify({ ...outcome, ...counted }));
