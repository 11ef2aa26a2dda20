/** Write a program that fetches the same series from the same node; a name of a stream stays a comment. */
export function python(origin: string, streams: { id: number; name: string }[], from: string, to: string): string {
  const said = streams.map((one) => `    ${one.id},  # ${one.name.replace(/[\r\n\u2028\u2029]/g, ' ')}`).join('\n')
  return `import httpx
import numpy as np

STREAMS = [
${said}
]
node = httpx.Client(base_url=${JSON.stringify(origin)})  # headers={"Authorization": "Bearer …"} where one signs in
asked = {"streams": ",".join(map(str, STREAMS)), "from": ${JSON.stringify(from)}, "to": ${JSON.stringify(to)}, "px": 4000}
answer = node.get("/api/series", params=asked).raise_for_status().json()
series = {
    one["name"]: (np.cumsum(one["time"]).astype("datetime64[ms]"), np.array(one["value"], float))
    for one in answer["series"]
}
`
}
