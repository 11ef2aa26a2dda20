// Writes the types of the node's API out of its own description: OpenAPI on standard input, TypeScript on output.
import openapi, { astToString } from 'openapi-typescript'

const chunks = []
for await (const one of process.stdin) chunks.push(one)
const found = await openapi(Buffer.concat(chunks).toString('utf8'), { defaultNonNullable: true })
process.stdout.write(`// Written by \`python tools/console_types.py\` out of the API's own description; a test holds it to that.\n${astToString(found)}`)
