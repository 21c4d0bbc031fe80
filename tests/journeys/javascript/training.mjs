// OpenAI's official client: a file, a job, and what follows from it. Prints what it heard, as JSON.
import fs from 'node:fs'
import OpenAI, { toFile } from 'openai'

const client = new OpenAI({ maxRetries: 0 })
const heard = {}

const file = await client.files.create({ file: fs.createReadStream('chats.jsonl'), purpose: 'fine-tune' })
heard.file = file
const bytes = await toFile(fs.readFileSync('chats.jsonl'), 'bytes.jsonl')
heard.expiring = await client.files.create({
  purpose: 'fine-tune',
  expires_after: { anchor: 'created_at', seconds: 3600 },
  file: bytes,
})
heard.content = (await (await client.files.content(file.id)).text()).length
heard.files = []
for await (const one of client.files.list({ limit: 1 })) heard.files.push(one.id)

const job = await client.fineTuning.jobs.create({
  model: 'base',
  training_file: file.id,
  suffix: 'my-voice',
  method: { type: 'supervised', supervised: { hyperparameters: { n_epochs: 2 } } },
  metadata: { book: 'second' },
})
heard.job = job
heard.found = []
for await (const one of client.fineTuning.jobs.list({ metadata: { book: 'second' } })) heard.found.push(one.id)
heard.cancelled = (await client.fineTuning.jobs.cancel(job.id)).status
heard.events = []
for await (const event of client.fineTuning.jobs.listEvents(job.id, { limit: 1 })) heard.events.push(event.message)
heard.checkpoints = (await client.fineTuning.jobs.checkpoints.list(job.id)).data
heard.deleted = await client.files.delete(heard.expiring.id)
try {
  await client.fineTuning.jobs.pause(job.id)
} catch (error) {
  heard.refused = { status: error.status, code: error.code, name: error.constructor.name }
}

console.log(JSON.stringify(heard))
