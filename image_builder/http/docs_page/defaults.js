"use strict";

// What the page's forms are filled with, so that every operation can be executed as it stands.
const formDefaults = (() => {
  // The path parameters that identify the caller's own resources: the paths that list the newest and create one.
  const RESOURCES = {
    id: { noun: "blueprint", list: "/blueprints", create: "/blueprints" },
    composeId: { noun: "build", list: "/composes", create: "/compose" },
  };

  const METHODS = ["get", "put", "post", "delete", "patch"];

  const mapValues = (object, change) =>
    Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value, key)]));

  const fresh = (name) => `${name}-${Math.random().toString(36).slice(2, 10)}`;

  const component = (document, reference) =>
    reference
      .slice("#/".length)
      .split("/")
      .reduce((node, key) => node[key], document);

  // The schema in one piece, without the examples that Swagger UI would fill in.
  const withoutExamples = (document, { $ref, allOf = [], example, ...own }) => {
    const parts = $ref ? [...allOf, component(document, $ref)] : allOf;
    return Object.assign({}, ...parts.map((part) => withoutExamples(document, part)), own);
  };

  // An example of an optional parameter says how to write it. Sent, it would often ask for what is not there.
  const optional = (document, { example, ...parameter }) => ({
    ...parameter,
    schema: withoutExamples(document, parameter.schema),
    description:
      example === undefined ? parameter.description : `${parameter.description}\n\nExample: \`${[example].flat().join(", ")}\``,
  });

  const withNote = (parameter) => {
    const { noun } = RESOURCES[parameter.name];
    const note =
      `While this example is unchanged, the page takes the newest ${noun} in its place; to change or hide one, and where ` +
      `there is none, it makes an example ${noun} first.`;
    return { ...parameter, description: `${parameter.description}\n\n${note}` };
  };

  const parameterDefaults = (document, parameter) => {
    if ("$ref" in parameter) {
      return parameter;
    }
    if (!parameter.required) {
      return optional(document, parameter);
    }
    return parameter.in === "path" && parameter.name in RESOURCES ? withNote(parameter) : parameter;
  };

  // Names of blueprints are unique: those of an earlier visit may still be there.
  const freshlyNamed = (example) =>
    typeof example === "string"
      ? example.replace(/^name = "(.*)"$/m, (_, name) => `name = "${fresh(name)}"`)
      : { ...example, name: fresh(example.name) };

  const bodyDefaults = ({ example, examples, ...mediaType }) => ({
    ...mediaType,
    ...(example && { example: freshlyNamed(example) }),
    ...(examples && {
      examples: mapValues(examples, (each) => ({ ...each, value: freshlyNamed(each.value) })),
    }),
  });

  const namesABlueprint = (operation) => ["createBlueprint", "updateBlueprint"].includes(operation.operationId);

  const operationDefaults = (document, operation) => ({
    ...operation,
    ...(operation.parameters && {
      parameters: operation.parameters.map((parameter) => parameterDefaults(document, parameter)),
    }),
    ...(namesABlueprint(operation) && {
      requestBody: { ...operation.requestBody, content: mapValues(operation.requestBody.content, bodyDefaults) },
    }),
  });

  const pathDefaults = (document, path) =>
    mapValues(path, (member, key) => {
      if (key === "parameters") {
        return member.map((parameter) => parameterDefaults(document, parameter));
      }
      return METHODS.includes(key) ? operationDefaults(document, member) : member;
    });

  // Swagger UI first fills a body with its schema's example. Only where that is the first of the named examples does it
  // select this one; otherwise it takes the body for an edited one, and keeps it when another media type is chosen.
  const schemaDefaults = (schemas, paths) => {
    const changed = { ...schemas };
    for (const operation of Object.values(paths).flatMap((path) => METHODS.map((method) => path[method]))) {
      const { schema, examples } = operation?.requestBody?.content["application/json"] ?? {};
      if (examples !== undefined && schema.$ref !== undefined) {
        const name = schema.$ref.split("/").at(-1);
        changed[name] = { ...schemas[name], example: Object.values(examples)[0].value };
      }
    }
    return changed;
  };

  // The document as the page shows it.
  const inDocument = (document) => {
    if (document.paths === undefined) {
      return document;
    }
    const { parameters, schemas } = document.components;
    const paths = mapValues(document.paths, (path) => pathDefaults(document, path));
    const components = {
      ...document.components,
      parameters: mapValues(parameters, (parameter) => parameterDefaults(document, parameter)),
      schemas: schemaDefaults(schemas, paths),
    };
    return { ...document, paths, components };
  };

  const identification = (system) => {
    const credentials = Object.values(system.authSelectors.authorized()?.toJS() ?? {});
    return Object.fromEntries(credentials.map(({ schema, value }) => [schema.name, value]));
  };

  const exampleBody = (system, path) => {
    const content = system.specSelectors.specJson().toJS().paths[path].post.requestBody.content["application/json"];
    const downloadable = content.examples["guest-image"].value;
    return path === RESOURCES.id.create ? freshlyNamed(downloadable) : downloadable;
  };

  // The id of the newest resource, or of one that is created now; undefined where the service refuses or is away.
  const findId = async (system, { list, create }, method, server) => {
    const ask = async (path, options = {}) => {
      const headers = { ...identification(system), "Content-Type": "application/json" };
      const answer = await fetch(`${server}${path}`, { headers, ...options }).catch(() => undefined);
      return answer?.ok ? answer.json() : undefined;
    };
    const page = method === "get" ? await ask(`${list}?limit=1`) : undefined;
    const body = () => JSON.stringify(exampleBody(system, create));
    const found = page?.data[0] ?? (await ask(create, { method: "POST", body: body() }));
    return found?.id;
  };

  // Put ids of the running service into the fields that still show the document's example.
  const fillIn = async (system, path, method) => {
    const { specSelectors, specActions, oas3Selectors } = system;
    const server = oas3Selectors.selectedServer(`${path}:${method}`) || oas3Selectors.selectedServer();
    const parameters = specSelectors.specJsonWithResolvedSubtrees().getIn(["paths", path, method, "parameters"]) ?? [];
    for (const parameter of parameters) {
      const untouched =
        specSelectors.parameterWithMetaByIdentity([path, method], parameter).get("value") === parameter.get("example");
      if (parameter.get("in") === "path" && parameter.get("name") in RESOURCES && untouched) {
        const id = await findId(system, RESOURCES[parameter.get("name")], method, server);
        if (id) {
          specActions.changeParamByIdentity([path, method], parameter, id, false);
        }
      }
    }
  };

  return { inDocument, fillIn };
})();
