"use strict";

// A user of the page under one base path may be unable to reach the others, so its own base path is the default server.
const base = new URL("..", window.location.href).pathname.replace(/\/$/, "");

const ownServerFirst = (document) => {
  if (!Array.isArray(document.servers)) {
    return document;
  }
  const own = document.servers.filter((server) => server.url === base);
  const others = document.servers.filter((server) => server.url !== base);
  return { ...document, servers: [...own, ...others] };
};

SwaggerUIBundle({
  url: document.getElementById("docs").dataset.document,
  dom_id: "#docs",
  deepLinking: true,
  tryItOutEnabled: true,
  persistAuthorization: true,
  validatorUrl: null,
  plugins: [
    {
      statePlugins: {
        spec: {
          wrapActions: {
            updateJsonSpec: (update) => (document) => update(formDefaults.fillDocument(ownServerFirst(document))),
            execute: (execute, system) => async (operation) => {
              await formDefaults.fillIds(system, operation.path, operation.method);
              return execute(operation);
            },
          },
        },
      },
    },
  ],
});
