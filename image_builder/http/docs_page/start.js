"use strict";

// Whoever reads the page under one base path may reach no other one: what is tried is sent there first of all.
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
            updateJsonSpec: (update) => (document) => update(formDefaults.inDocument(ownServerFirst(document))),
            execute: (execute, system) => async (operation) => {
              await formDefaults.fillIn(system, operation.path, operation.method);
              return execute(operation);
            },
          },
        },
      },
    },
  ],
});
