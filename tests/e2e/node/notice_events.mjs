// usage: notice_events.mjs FILE...: each file is a CloudEvent 1.0 to the vendor-neutral SDK: valid to
// its JSON schema (strict), and the same when it is read from an HTTP message in structured mode.
// Prints "TYPE ID" of each.
import { readFileSync } from "node:fs";
import { CloudEvent, HTTP } from "cloudevents";

for (const file of process.argv.slice(2)) {
    const body = readFileSync(file, "utf8");
    const event = new CloudEvent(JSON.parse(body), true);
    const received = HTTP.toEvent({
        headers: { "content-type": "application/cloudevents+json; charset=utf-8" }, body });
    received.validate();
    if (JSON.stringify(received) !== JSON.stringify(event)) throw new Error(`${file} is read otherwise`);
    console.log(`${event.type} ${event.id}`);
}
