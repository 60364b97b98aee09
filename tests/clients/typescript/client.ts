// Queues a build and reads the list of builds with the generated types: `client.js BASE_URL IDENTITY`.
// Prints a JSON document: the id of the build, what its status says, and the distribution of each build of the list.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const [baseUrl, identity] = process.argv.slice(2) as [string, string];
const client = createClient<paths>({ baseUrl, headers: { "x-rh-identity": identity } });

const request: components["schemas"]["ComposeRequest"] = {
  distribution: "centos-9",
  image_requests: [
    {
      architecture: "x86_64",
      image_type: "guest-image",
      size: 2 ** 32,
      upload_request: { type: "aws.s3", options: {} },
    },
  ],
};

const started = await client.POST("/compose", { body: request });
if (!started.data) throw new Error(started.error.errors[0]?.detail);
const status = await client.GET("/composes/{composeId}", { params: { path: { composeId: started.data.id } } });
if (!status.data) throw new Error(status.error.errors[0]?.detail);
const page = await client.GET("/composes");
if (!page.data) throw new Error(page.error.errors[0]?.detail);

const distributions: Record<string, string | null> = {};
for (const build of page.data.data) distributions[build.id] = build.request.distribution ?? null;
const [image] = status.data.request.image_requests ?? [];
console.log(JSON.stringify({ queued: started.data.id, image_type: image?.image_type, size: image?.size, distributions }));
