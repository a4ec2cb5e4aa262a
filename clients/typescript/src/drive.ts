// Drives an API with the generated types: a classification, a chat, a job and a refusal. `node out/drive.js URL KEY`.
import createClient from "openapi-fetch";
import type { components, paths } from "./contract.js";

type Job = components["schemas"]["Job"];

const WAIT_MS = 30_000;

async function main(url: string, key: string): Promise<void> {
  const client = createClient<paths>({ baseUrl: url, headers: { Authorization: `Bearer ${key}` } });

  const label = await client.POST("/classify", { body: { text: "Please refund my invoice, it was paid twice." } });
  if (!label.data || !("category" in label.data)) throw new Error("no classification");

  const asked = {
    body: { messages: [{ role: "user" as const, content: "Say hello." }] },
    params: { header: { "Idempotency-Key": "drive-2" } },
  };
  const answer = await client.POST("/chat", asked);
  const again = await client.POST("/chat", asked);
  if (!answer.data || !("message" in answer.data) || !again.data || !("message" in again.data)) {
    throw new Error("no answer");
  }

  const accepted = await client.POST("/analyze-document", {
    body: { document: "A short report. It has two sentences." },
  });
  let job: Job | undefined = accepted.data;
  const end = Date.now() + WAIT_MS;
  while (job && (job.status === "queued" || job.status === "processing") && Date.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 100));
    job = (await client.GET("/jobs/{job_id}", { params: { path: { job_id: job.job_id } } })).data;
  }
  if (!job?.result) throw new Error("the job has no result");

  const refused = await client.POST("/classify", {
    body: { text: "Hello" },
    headers: { Authorization: "Bearer sk-wrong" },
  });
  if (!refused.error || !("error" in refused.error)) throw new Error("a wrong key was taken");

  const told = {
    category: label.data.category,
    confidence: label.data.confidence,
    text: answer.data.message.content,
    replayed: again.data.message.content === answer.data.message.content,
    tokens: answer.data.metadata.tokens_used.output,
    job: job.status,
    error: refused.error.error.code,
    retryable: refused.error.error.retryable,
  };
  console.log(JSON.stringify(told));
}

const [url, key] = process.argv.slice(2);
await main(url ?? "", key ?? "");
